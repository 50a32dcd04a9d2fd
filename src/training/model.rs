//! A model, and what trains it.

use super::checkpoint::Checkpoint;
use super::config::TrainConfig;
use crate::Result;
use crate::data::Dataset;
use crate::estimators::{Estimator, EstimatorKind};
use crate::models::{Elbo, Vae};
use crate::nn::Adam;
use crate::relaxation::Forward;
use crate::relaxation::one_pass::NoiseKey;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// Parameters, the model made of them, and what trains them.
#[derive(Debug)]
pub(super) struct Model {
    pub store: VarStore,
    pub vae: Vae,
    pub adam: Adam,
    /// Of the latents' gradient, where the relaxed sample itself is not differentiated.
    pub estimator: Option<Box<dyn Estimator>>,
}

impl Model {
    /// For the images of a data set, newly initialised from libtorch's generator.
    pub fn new(config: &TrainConfig, data: &Dataset, device: Device) -> Result<Self> {
        let store = VarStore::new(device);
        let vae = Vae::new(&store.root(), &config.vae(data.train.size()))?;
        let adam = Adam::new(&store, config.lr)?;
        let estimator = match config.estimator {
            EstimatorKind::Gengs | EstimatorKind::GengsSt => None,
            kind => {
                let setting = vae.estimator_setting(config.temperature.first);
                // Tried on one image first, so that one that does not fit the latents leaves no run behind.
                let image = data.train.batch(&Tensor::zeros([1], (Kind::Int64, device)));
                vae.estimated_elbo(&image, kind.build(&setting)?.as_mut(), config.samples())?;
                Some(kind.build(&setting)?)
            }
        };
        Ok(Self { store, vae, adam, estimator })
    }

    /// The batch's negative ELBO with a gradient by the run's estimator.
    pub fn elbo(&mut self, x: &Tensor, config: &TrainConfig, temperature: f64, key: NoiseKey) -> Result<Elbo> {
        let Some(estimator) = &mut self.estimator else {
            let forward = match config.estimator {
                EstimatorKind::GengsSt => Forward::StraightThrough,
                _ => Forward::Soft,
            };
            return self.vae.relaxed_elbo(x, temperature, forward, Some(key));
        };
        estimator.set_temperature(temperature);
        self.vae.estimated_elbo(x, estimator.as_mut(), config.samples())
    }

    /// What a checkpoint holds, by name, sharing memory with the model.
    pub fn contents(&mut self) -> Vec<(String, Tensor)> {
        let mut named = Checkpoint::contents(&self.store, &self.adam);
        if let Some(learned) = self.estimator.as_mut().and_then(|estimator| estimator.learned()) {
            named.extend(Checkpoint::contents(&learned.store, &learned.adam));
        }
        named
    }

    /// As it was at a checkpoint.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(&self.store)?;
        checkpoint.restore_adam(&mut self.adam)?;
        if let Some(learned) = self.estimator.as_mut().and_then(|estimator| estimator.learned()) {
            checkpoint.restore(&learned.store)?;
            checkpoint.restore_adam(&mut learned.adam)?;
        }
        Ok(())
    }
}
