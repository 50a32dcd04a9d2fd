//! Reads the weights of a topic model without its corpus.

use super::{FromFile, load_into, named, read_for};
use crate::error::{Error, Result};
use crate::models::TopicModel;
use crate::random;
use crate::training::TopicsTrainConfig;
use crate::training::topics::blank;
use std::path::Path;
use tch::nn::VarStore;
use tch::{Device, Tensor};

/// Makes a topic model of a run's architecture with the weights of a file. The size of the vocabulary is that of the
/// file's `words.bias`.
///
/// # Errors
/// Fails as [`read`](super::read) and [`load_into`] do, and with [`Error::OtherSettings`] for a checkpoint whose model
/// has other settings.
pub fn read_topics(config: &TopicsTrainConfig, path: &Path, device: Device) -> Result<FromFile<TopicModel>> {
    let (tensors, source) = read_for(config, path, device)?;
    let bias = named(&tensors, "words.bias").map(Tensor::size);
    let Some(&[words]) = bias.as_deref() else {
        return Err(Error::file(
            path,
            "its weights do not fit the model: it lacks a vector words.bias, with one number a word",
        ));
    };
    let shape = config.model(words);
    shape.check()?;
    let store = VarStore::new(device);
    let _generator = random::hold();
    let model = TopicModel::new(&store.root(), &shape, &blank(words, &config.topics, device))?;
    let note = load_into(&store, &tensors, path)?;
    Ok(FromFile { store, model, note, source })
}
