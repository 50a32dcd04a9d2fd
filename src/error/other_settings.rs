//! The sentence of settings that differ from those in training.

/// Returns the sentence for a setting that differs from that in training.
pub(super) fn other_settings(setting: &str, trained: Option<&str>, found: Option<&str>) -> String {
    let (trained, mend) = match trained {
        Some(value) => (format!("with {setting} {value}"), "put it back"),
        None => (format!("without {setting}"), "take it out"),
    };
    let found = found.map_or("has none".into(), |value| format!("says {value}"));
    format!(
        "its weights were trained {trained}, but config.toml {found}: {mend}, or use the weights with the settings of \
         their own run"
    )
}
