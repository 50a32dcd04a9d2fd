//! The settings that a run's weights are bound to. Each checkpoint holds them, so that an edit of `config.toml` gives
//! the weights no other meaning where their shapes happen to fit.

use super::settings::{BoundSettings, Settings};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The values of bound settings: by name, with a dot between a table and a setting in it. A setting that may be absent,
/// and is, has the value null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundValues(BTreeMap<String, Value>);

impl BoundValues {
    /// Those of a run's settings; `None` where its task binds none.
    pub fn of<S: Settings>(settings: &S) -> Result<Option<Self>> {
        let failed = |error: serde_json::Error| Error::Config(format!("the settings cannot be written down ({error})"));
        let all = serde_json::to_value(settings).map_err(failed)?;
        let mut values = BTreeMap::new();
        for name in S::BOUND.names() {
            insert(&mut values, name.into(), all.get(name).unwrap_or(&Value::Null));
        }
        Ok(Some(Self(values)).filter(|Self(values)| !values.is_empty()))
    }

    /// The first setting, by name, whose value differs in others; one that these do not have is null. Of the settings
    /// that `counts` tells.
    fn first_difference(&self, others: &Self, counts: impl Fn(&str) -> bool) -> Option<Difference> {
        let shown = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            // As TOML has them, with spaces.
            Value::Array(items) => {
                Some(format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")))
            }
            value => Some(value.to_string()),
        };
        self.0.iter().filter(|(name, _)| counts(name)).find_map(|(name, value)| {
            let other = others.0.get(name).unwrap_or(&Value::Null);
            (value != other).then(|| Difference { setting: name.clone(), own: shown(value), other: shown(other) })
        })
    }

    /// How those of another checkpoint differ, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let Difference { setting, own, other } = self.first_difference(other, |_| true)?;
        let [own, other] = [own, other].map(|value| value.unwrap_or("nothing".into()));
        Some(format!("in its training {setting} was {own}, and not {other}"))
    }

    /// Fails where settings differ in what the weights mean. `path` is the file of the weights.
    pub fn check_model<S: Settings>(&self, settings: &S, path: &Path) -> Result<()> {
        self.check(settings, path, BoundSettings { of_run: &[], ..S::BOUND })
    }

    /// Fails where settings differ in anything that the weights are bound to.
    pub fn check_run<S: Settings>(&self, settings: &S, path: &Path) -> Result<()> {
        self.check(settings, path, S::BOUND)
    }

    fn check<S: Settings>(&self, settings: &S, path: &Path, names: BoundSettings) -> Result<()> {
        let Some(found) = Self::of(settings)? else { return Ok(()) };
        let counts = |name: &str| names.names().any(|bound| name.split('.').next() == Some(bound));
        let Some(difference) = self.first_difference(&found, counts) else { return Ok(()) };
        let Difference { setting, own: trained, other: found } = difference;
        Err(Error::OtherSettings { path: path.into(), setting, trained, found })
    }
}

/// A setting that differs, and its two values.
struct Difference {
    setting: String,
    own: Option<String>,
    other: Option<String>,
}

/// A value, or those of a table.
fn insert(values: &mut BTreeMap<String, Value>, name: String, value: &Value) {
    match value {
        Value::Object(table) => {
            table.iter().for_each(|(inner, value)| insert(values, format!("{name}.{inner}"), value));
        }
        value => {
            values.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{TopicsTrainConfig, TrainConfig};

    #[test]
    fn a_setting_that_one_of_both_does_not_know_is_no_difference() {
        let settings = TopicsTrainConfig::default();
        let path = Path::new("best.safetensors");
        let all = BoundValues::of(&settings).unwrap().unwrap();
        assert!(all.0.contains_key("text.lower_case") && !all.0.contains_key("lr"), "{all:?}");
        // Of a program that had fewer settings, and of one that bound more.
        let mut fewer = all.clone();
        fewer.0.remove("split").unwrap();
        fewer.0.remove("text.stop_words").unwrap();
        fewer.0.insert("lr".into(), Value::from(7));
        for bound in [&all, &fewer] {
            bound.check_run(&settings, path).unwrap();
        }
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<BoundValues>(&text).unwrap(), all);
    }

    #[test]
    fn a_difference_is_one_sentence_with_both_values() {
        let path = Path::new("last.safetensors");
        let trained = TrainConfig { prior: Some(0.1 + 0.2), ..TrainConfig::default() };
        let bound = BoundValues::of(&trained).unwrap().unwrap();
        bound.check_run(&trained, path).unwrap();
        let absent = BoundValues::of(&TrainConfig::default()).unwrap().unwrap();
        for (bound, settings, said) in [
            (&bound, TrainConfig { seed: 7, ..trained.clone() }, "with seed 0, but config.toml says 7: put it back"),
            (&bound, TrainConfig::default(), "with prior 0.30000000000000004, but config.toml has none: put it back"),
            (&absent, trained.clone(), "without prior, but config.toml says 0.30000000000000004: take it out"),
        ] {
            let message = bound.check_run(&settings, path).unwrap_err().to_string();
            assert!(message.starts_with("last.safetensors: its weights were trained ") && message.contains(said));
        }
        // Weights of a run with another seed may be evaluated; those of another model are others.
        bound.check_model(&TrainConfig { seed: 7, ..trained.clone() }, path).unwrap();
        bound.check_model(&TrainConfig { latents: 7, ..trained }, path).unwrap_err();
        assert_eq!(
            bound.difference(&absent).unwrap(),
            "in its training prior was 0.30000000000000004, and not nothing"
        );
    }
}
