//! Chooses the documents held out for testing, and those for choosing the best epoch.
//!
//! A document is held out if a hash of the seed and of its content falls below a share of all hashes. So a document
//! stays in its part if documents are reordered or added, and documents with the same content are in the same part: no
//! model is tested on a document that it was trained on. The shares are met up to chance.

use super::Document;
use super::documents::Documents;
use crate::choice::choices;
use crate::error::{Error, Result};

choices! {
    "split";
    /// The rule by which documents are held out.
    #[derive(Default)]
    pub enum SplitRule {
        /// By a hash of the seed and of each document's content
        #[default]
        Seed = "seed",
        /// Every tenth for testing, every twentieth of the others for validation, as in runs without this setting
        EveryTenth = "every-tenth",
    }
}

/// How documents are held out, if their source does not say so itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The rule.
    pub rule: SplitRule,
    /// The seed of the hash.
    pub seed: u64,
    /// Share of the documents for testing.
    pub test_share: f64,
    /// Share of the remaining documents for validation.
    pub validation_share: f64,
}

/// The period of [`SplitRule::EveryTenth`] for testing: the last of so many documents.
const TEST_PERIOD: u64 = 10;

/// The period of [`SplitRule::EveryTenth`] for validation: the last of so many training documents.
const VALIDATION_PERIOD: usize = 20;

impl Default for Split {
    fn default() -> Self {
        Self { rule: SplitRule::Seed, seed: 0, test_share: 0.1, validation_share: 0.05 }
    }
}

impl Split {
    /// Makes a split by [`SplitRule::EveryTenth`].
    pub fn every_tenth() -> Self {
        Self { rule: SplitRule::EveryTenth, ..Self::default() }
    }

    /// Checks the shares.
    ///
    /// # Errors
    /// Fails if a share is not from 0 to 0.9, or if a share other than the default is combined with the rule
    /// every-tenth.
    pub fn check(&self) -> Result<()> {
        for (name, share, own) in [
            ("test-share", self.test_share, Self::default().test_share),
            ("validation-share", self.validation_share, Self::default().validation_share),
        ] {
            if !(0.0..=0.9).contains(&share) {
                return Err(Error::parameter(name, share, "from 0 to 0.9"));
            }
            if self.rule == SplitRule::EveryTenth && share != own {
                return Err(Error::parameter(name, share, format!("{own} with the split every-tenth")));
            }
        }
        Ok(())
    }

    /// Returns whether a text, at a position counted from 0, is for testing. White space is ignored.
    pub(super) fn tests_text(&self, position: u64, text: &str) -> bool {
        self.tests(position, |hasher| {
            for word in text.split_whitespace() {
                hasher.update(word.as_bytes());
                hasher.update(b" ");
            }
        })
    }

    /// Returns whether a document, with ascending words numbered as in its file, is for testing.
    pub(super) fn tests_document(&self, position: u64, document: &[(u32, u32)]) -> bool {
        self.tests(position, |hasher| add_document(hasher, document))
    }

    fn tests(&self, position: u64, content: impl FnOnce(&mut blake3::Hasher)) -> bool {
        match self.rule {
            SplitRule::EveryTenth => position % TEST_PERIOD == TEST_PERIOD - 1,
            SplitRule::Seed => self.draws("test", self.test_share, content),
        }
    }

    /// Returns whether content is in a share of all contents, drawn by hash.
    fn draws(&self, part: &str, share: f64, content: impl FnOnce(&mut blake3::Hasher)) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("gengs {part} {} ", self.seed).as_bytes());
        content(&mut hasher);
        let mut start = [0; 8];
        start.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        // 53 bits, the precision of the share.
        ((u64::from_le_bytes(start) >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// Returns for each training document whether it is for validation. `by_position` is for sources that name the
    /// documents for testing themselves: documents at equal distances are for validation.
    ///
    /// # Errors
    /// Fails if a document cannot be read.
    pub fn validation(&self, train: &Documents, by_position: bool) -> Result<Vec<bool>> {
        let every = |period: usize| (0..train.len()).map(|number| number % period == period - 1).collect();
        match self.rule {
            SplitRule::EveryTenth => Ok(every(VALIDATION_PERIOD)),
            SplitRule::Seed if by_position && self.validation_share > 0.0 => {
                Ok(every((1.0 / self.validation_share).round() as usize))
            }
            SplitRule::Seed => {
                let draws = |document: &Document| {
                    self.draws("validation", self.validation_share, |hasher| add_document(hasher, document))
                };
                train.iter().map(|document| Ok(draws(&document?))).collect()
            }
        }
    }

    /// Returns a description of the split for stores and reports.
    pub(super) fn describe(&self) -> String {
        match self.rule {
            SplitRule::Seed => format!("share {} for testing by seed {}", self.test_share, self.seed),
            SplitRule::EveryTenth => "every tenth document for testing".into(),
        }
    }
}

fn add_document(hasher: &mut blake3::Hasher, document: &[(u32, u32)]) {
    for (word, count) in document {
        hasher.update(&word.to_le_bytes());
        hasher.update(&count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_out(split: &Split, texts: &[String]) -> Vec<String> {
        let tests = |(at, text): (u64, &String)| split.tests_text(at, text).then(|| text.clone());
        (0..).zip(texts).filter_map(tests).collect()
    }

    #[test]
    fn the_split_is_a_function_of_seed_and_content() {
        let texts: Vec<String> = (0..10_000).map(|number| format!("document {number} of many")).collect();
        let split = Split::default();
        let chosen = held_out(&split, &texts);
        // The standard deviation is 30.
        assert!((900..1100).contains(&chosen.len()), "{}", chosen.len());
        let mut backwards: Vec<String> = texts.iter().rev().cloned().collect();
        backwards.extend((0..3000).map(|number| format!("{number} more")));
        let again = held_out(&split, &backwards);
        assert!(chosen.iter().all(|text| again.contains(text)));
        assert!(again.iter().all(|text| text.contains("more") || chosen.contains(text)));
        assert_ne!(held_out(&Split { seed: 1, ..split }, &texts), chosen);
        assert_eq!(split.tests_text(0, "a  b\n"), split.tests_text(7, " a b"));
        assert!(held_out(&Split { test_share: 0.0, ..split }, &texts).is_empty());
        assert_eq!(
            held_out(&Split::every_tenth(), &texts)[..2],
            texts[9..20].iter().step_by(10).cloned().collect::<Vec<_>>()
        );
        // Pinned: a change would move documents of existing runs between the parts.
        let first: Vec<&str> = chosen.iter().take(4).map(|text| text.split(' ').nth(1).unwrap()).collect();
        assert_eq!(first, ["49", "60", "66", "70"]);
    }

    #[test]
    fn validation_is_a_share_of_the_training_documents() {
        let mut train = Documents::new();
        for number in 0..2000 {
            train.push(vec![(number % 1000, 1 + number % 7)]).unwrap();
        }
        let count = |split: Split, by_position| {
            split.validation(&train, by_position).unwrap().into_iter().filter(|validates| *validates).count()
        };
        let drawn = count(Split::default(), false);
        assert!((70..130).contains(&drawn), "{drawn}");
        assert_eq!(count(Split::default(), true), 100);
        assert_eq!(count(Split::every_tenth(), false), 100);
        assert_eq!(count(Split { validation_share: 0.0, ..Split::default() }, true), 0);
        assert_eq!(count(Split { validation_share: 0.5, ..Split::default() }, true), 1000);
    }

    #[test]
    fn shares_without_documents_are_refused() {
        let refused = |split: Split| split.check().unwrap_err().to_string();
        assert!(refused(Split { test_share: 1.0, ..Split::default() }).contains("test-share is 1"));
        assert!(refused(Split { validation_share: f64::NAN, ..Split::default() }).contains("validation-share is NaN"));
        assert!(refused(Split { test_share: 0.2, ..Split::every_tenth() }).contains("every-tenth"));
    }
}
