//! Advice for errors: the library says what is wrong, and the table here says which options mend it.

use crate::error::Error;

/// Returns a setting as a flag with its value, as a user types it.
pub fn flag(setting: &str, value: &str) -> String {
    format!("--{} {value}", setting.replace('_', "-"))
}

/// Returns the message of an error, the messages of its underlying errors, and the advice.
pub fn message_with_advice(error: &Error) -> String {
    error.whole() + &advice(error).unwrap_or_default()
}

/// Returns the options that mend an error, as the end of its message with the punctuation before it. `None` if there
/// are none.
pub(super) fn advice(error: &Error) -> Option<String> {
    Some(match error {
        Error::Device(_) => " (--device cpu)".into(),
        Error::NoCuda { .. } => " (./libtorch-setup.sh --cuda, or --device cpu)".into(),
        Error::Contradiction { setting, .. } => format!(" (--{})", setting.replace('_', "-")),
        Error::OtherData { setting, .. } => {
            format!(
                "; name the present location of the run's data with --{setting}, or with --data-dir for a named set"
            )
        }
        Error::DataGone { setting, .. } => format!("; name their present location with --{setting}"),
        Error::NamedDataMissing { .. } => "; name its folder with --data-dir or GENGS_DATA".into(),
        Error::TextColumn { likely, .. } => format!(", as in --text-column {likely}"),
        Error::Quotes { .. } => ", or, where quotes are letters of the texts, give --quotes text".into(),
        Error::InTheWay { .. } => ", or name another folder with --out".into(),
        Error::NoWordLeft { relaxed, .. } if !relaxed.is_empty() => {
            let flags: Vec<String> = relaxed.iter().map(|(setting, value)| flag(setting, value)).collect();
            format!("; they are kept by {}", flags.join(" "))
        }
        Error::EmptyPart { held_out: true, .. } => "; train with another --seed or a higher --test-share".into(),
        Error::EmptyPart { held_out: false, .. } => "; take a lower --test-share, or another --seed".into(),
        Error::NotInStore { .. } => ": give --store DIR with --resume".into(),
        Error::StepTooLarge { settings, .. } => {
            let flags: Vec<String> = settings.iter().map(|setting| format!("--{setting}")).collect();
            match flags.split_last() {
                Some((last, [])) => format!("; take a lower {last}"),
                Some((last, others)) => format!("; take a lower {} or {last}", others.join(", ")),
                None => return None,
            }
        }
        Error::StoreInUse { .. } => ", or name another folder with --store".into(),
        Error::InUse { .. } => ", or name another folder with --out".into(),
        Error::LockLost { .. } => "; go on from the last checkpoint with --resume".into(),
        Error::HoldsRun { .. } => "; continue it with --resume, or name another folder with --out".into(),
        Error::NoCheckpoint { .. } => "; start a new run with another --out".into(),
        Error::NotFinite { .. } => ": leave such steps out with --resume --on-nan skip, or start anew with a smaller \
            --lr (and --init-from a checkpoint), or inspect the data"
            .into(),
        Error::NeverFinite { .. } => ": start anew with a smaller --lr, or inspect the data".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_typed_as_flags() {
        let relaxed = vec![("min_letters", "1"), ("stop_words", "false")];
        let error = Error::NoWordLeft { problem: "no word is left".into(), relaxed };
        assert_eq!(advice(&error).unwrap(), "; they are kept by --min-letters 1 --stop-words false");
        assert_eq!(message_with_advice(&error), "no word is left; they are kept by --min-letters 1 --stop-words false");
        assert!(advice(&Error::Config("anything".into())).is_none());
        let large = |settings| Error::StepTooLarge {
            what: "weights".into(),
            shape: vec![9],
            kind: "Double".into(),
            largest: 8,
            settings,
        };
        let said = message_with_advice(&large(&["batch-size", "topics", "truncation"]));
        assert!(said.ends_with("at most 8 bytes; take a lower --batch-size, --topics or --truncation"), "{said}");
        assert_eq!(advice(&large(&["topics"])).unwrap(), "; take a lower --topics");
    }
}
