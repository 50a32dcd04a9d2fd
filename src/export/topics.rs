//! Exports the encoder of a topic model as a TorchScript archive.

use super::topics_source::{Member, topics_script};
use super::vae::{Pickler, entries, json_description, write};
use super::vae_source::Attribute;
use crate::error::{Error, Result};
use crate::training::TopicsTrainConfig;
use std::path::Path;
use tch::Tensor;
use tch::nn::VarStore;

/// Writes the encoder of a topic model as a TorchScript module, atomically. `store` holds the model's variables at its
/// root. `forward` maps word counts `[B, V]` to the posterior means of the counts of all layers from the lowest,
/// `[B, sum K]`. The settings that a reader needs are attributes of the module; the extra file `gengs.json` holds them,
/// too, with `topics`, the number of topics of each layer.
///
/// # Errors
/// Fails if the store does not belong to a topic model of these settings, or if the file cannot be written; an existing
/// file at `path` then stays.
pub fn write_topics_torchscript(path: &Path, store: &VarStore, config: &TopicsTrainConfig) -> Result<()> {
    let variables = store.variables();
    let missing = |name: &str| Error::file(path, format!("cannot be written (the model has no variable {name})"));
    let words = variables.get("words.bias").ok_or_else(|| missing("words.bias"))?.numel() as i64;
    let shape = config.model(words);
    let script = topics_script(
        &shape,
        vec![
            ("temperature", Attribute::Float(config.temperature.last)),
            ("gengs_version", Attribute::Text(env!("CARGO_PKG_VERSION").into())),
        ],
    );
    let tensors = script.tensors.iter().map(|Member { variable, .. }| {
        let tensor = variables.get(variable).ok_or_else(|| missing(variable))?;
        Ok((variable.clone(), tensor.shallow_clone()))
    });
    let tensors: Vec<(String, Tensor)> = tensors.collect::<Result<_>>()?;
    let mut pickle = Pickler::new();
    pickle.object("Topics", |members| {
        for (name, value) in &script.attributes {
            members.text(name);
            members.attribute(value);
        }
        for (i, (Member { name, parameter, .. }, (_, tensor))) in script.tensors.iter().zip(&tensors).enumerate() {
            members.text(name);
            members.tensor(i, tensor, *parameter);
        }
    });
    let mut description = json_description(&script.attributes)?;
    description.insert("topics".into(), shape.topics.into());
    write(path, "topics", &entries(pickle.finish(), &tensors, &script.source, &description)?)
}
