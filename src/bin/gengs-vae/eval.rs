//! `gengs-vae eval`: the likelihood of the test images.

use clap::Args;
use gengs::cli::{Trained, generator_seed, print_line, warn};
use gengs::data::Images;
use gengs::models::Vae;
use gengs::training::weights::FromFile;
use gengs::training::{TrainConfig, VaeTask, check_data, evaluate, weights};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    trained: Trained,
    /// Present location of the run's images
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0, value_parser = generator_seed)]
    seed: i64,
    /// Evaluate these weights instead of a checkpoint: a .safetensors file, a torch.save file, or a TorchScript module
    /// (only its tensors are read; its code is not run)
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    weights: Option<PathBuf>,
    /// Hard samples per image, for -ELBO and the importance-weighted bound
    #[arg(long, default_value_t = 100, value_name = "S", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    importance_samples: i64,
    /// Images per batch; it changes the noise of the samples, but not the images
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    batch_size: i64,
}

impl Eval {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (task, vae, images, config);
        let (vae, images, config) = match &self.weights {
            Some(weights) => {
                (vae, images, config) = self.model_with(weights)?;
                (&vae, &images, config)
            }
            None => {
                (task, config, _) =
                    self.trained.load::<VaeTask>(|config| set_dataset(config, self.dataset.as_deref()))?;
                (task.vae(), &task.data().test, config)
            }
        };
        let temperature = config.temperature.last;
        let result = evaluate(vae, images, self.importance_samples, temperature, self.batch_size, self.seed)?;
        if self.trained.common.json {
            print_line(serde_json::to_string(&result)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        print_line(format_args!(
            "{} test images, {} hard samples each, nats per image",
            result.examples, result.importance_samples
        ))?;
        print_line(format_args!("-ELBO            {:.3}", result.neg_elbo))?;
        print_line(format_args!("  reconstruction {:.3}", result.reconstruction))?;
        print_line(format_args!("  KL             {:.3}", result.kl))?;
        print_line(format_args!("-IWAE            {:.3}   importance-weighted bound", result.neg_iwae))?;
        print_line(format_args!(
            "-ELBO relaxed    {:.3}   at temperature {temperature}, soft samples: not a likelihood",
            result.neg_elbo_relaxed
        ))?;
        print_line(format_args!("active units     {}", result.active_units))?;
        if let Some(drawn_by) = result.drawn_by {
            print_line(format_args!("the {drawn_by} drew the relaxed samples"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Reads the weights of a file into the run's model, and the run's test images.
    fn model_with(&self, weights: &Path) -> anyhow::Result<(Vae, Images, TrainConfig)> {
        let (folder, mut config, device) = self.trained.settings::<TrainConfig>()?;
        set_dataset(&mut config, self.dataset.as_deref());
        let FromFile { model: vae, note, .. } = weights::read_vae(&config, weights, device)?;
        warn(note.as_slice());
        self.trained.report_data_paths(&folder, &config)?;
        let data = config.image_set().load(config.data_dir.as_deref())?;
        warn(check_data(&folder, &config, &data.identity()?)?.as_slice());
        let images = data.test.to_device(device);
        if images.size() != vae.pixels() {
            let (file, pixels, size) = (weights.display(), vae.pixels(), images.size());
            anyhow::bail!("{file}: its weights are for images of {pixels} pixels, but those of the run have {size}");
        }
        Ok((vae, images, config))
    }
}

/// Sets the present location of a run's images.
pub fn set_dataset(config: &mut TrainConfig, dataset: Option<&str>) {
    if let Some(dataset) = dataset {
        config.dataset = dataset.into();
    }
}
