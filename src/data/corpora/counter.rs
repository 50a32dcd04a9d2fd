//! Counts words of texts, and selects a vocabulary from them.

use super::report::{TextReport, empty_vocabulary};
use super::rules::{Rule, TextRules};
use super::scripts::script;
use super::vocabulary::Vocabulary;
use crate::error::Result;
use std::collections::HashMap;
use unicode_script::Script;

/// The most different words that are counted at the same time. Beyond it, the rarest words are dropped, to bound the
/// memory.
const MAX_COUNTED_WORDS: usize = 2_000_000;

/// Counts the documents that each word occurs in, in bounded memory.
pub(super) struct Counter<'a> {
    rules: &'a TextRules,
    words: HashMap<String, WordCount>,
    documents: u64,
    /// The most different words that are counted at the same time.
    capacity: usize,
    /// Words in at most this many documents may have been dropped.
    dropped_below: u64,
    /// The number of words so far, with repetitions.
    total: u64,
    /// The number of words that each rule left out, with repetitions.
    lost: HashMap<Rule, u64>,
    /// The number of words, and of their characters, per script.
    scripts: HashMap<Script, (u64, u64)>,
}

/// The counts of a word.
struct WordCount {
    documents: u64,
    /// The last document that has the word, counted from 1.
    last: u64,
    /// The number of occurrences in all documents.
    count: u64,
}

impl<'a> Counter<'a> {
    pub fn new(rules: &'a TextRules) -> Self {
        Self {
            rules,
            words: HashMap::new(),
            documents: 0,
            capacity: MAX_COUNTED_WORDS,
            dropped_below: 0,
            total: 0,
            lost: HashMap::new(),
            scripts: HashMap::new(),
        }
    }

    /// Counts the words of a training document.
    pub fn add(&mut self, text: &str) {
        self.documents += 1;
        let last = self.documents;
        for word in self.rules.runs(text) {
            self.total += 1;
            let (words, characters) = self.scripts.entry(script(&word)).or_default();
            *words += 1;
            *characters += word.chars().count() as u64;
            if let Some(rule) = self.rules.excluding_rule(&word) {
                *self.lost.entry(rule).or_default() += 1;
                continue;
            }
            if let Some(seen) = self.words.get_mut(&*word) {
                seen.documents += u64::from(seen.last != last);
                seen.last = last;
                seen.count += 1;
                continue;
            }
            if self.words.len() >= self.capacity {
                self.drop_rarest();
            }
            self.words.insert(word.into_owned(), WordCount { documents: 1, last, count: 1 });
        }
    }

    /// Drops the words of the fewest documents.
    fn drop_rarest(&mut self) {
        self.dropped_below += 1;
        let (rare, lost) = (self.dropped_below, self.lost.entry(Rule::MinDocuments).or_default());
        self.words.retain(|_, seen| {
            let stays = seen.documents > rare;
            *lost += if stays { 0 } else { seen.count };
            stays
        });
    }

    /// Returns the words that pass the rules, sorted by code points, and the report on all words.
    ///
    /// # Errors
    /// Fails if no word passes.
    pub fn vocabulary(self) -> Result<(Vocabulary, TextReport)> {
        let Self { rules, words, documents, total, mut lost, scripts, .. } = self;
        let max_documents = rules.max_share * documents as f64;
        let mut lose = |rule: Rule, count: u64| *lost.entry(rule).or_default() += count;
        let mut passed: Vec<(String, WordCount)> = Vec::new();
        for (word, seen) in words {
            if seen.documents < rules.min_documents {
                lose(Rule::MinDocuments, seen.count);
            } else if seen.documents as f64 > max_documents {
                lose(Rule::MaxShare, seen.count);
            } else {
                passed.push((word, seen));
            }
        }
        passed.sort_unstable_by(|(one, one_seen), (other, other_seen)| {
            other_seen.documents.cmp(&one_seen.documents).then_with(|| one.cmp(other))
        });
        for (_, seen) in passed.drain(rules.max_words.min(passed.len())..) {
            lose(Rule::MaxWords, seen.count);
        }
        let kept = passed.iter().map(|(_, seen)| seen.count).sum();
        let report = TextReport::new(documents, total, kept, &lost).with_scripts(&scripts);
        if passed.is_empty() {
            return Err(empty_vocabulary(&report, rules));
        }
        let mut words: Vec<String> = passed.into_iter().map(|(word, _)| word).collect();
        words.sort_unstable();
        Ok((Vocabulary::new(words, rules.clone())?, report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::corpora::report::Loss;

    #[test]
    fn a_full_counter_forgets_the_rarest_words() {
        let rules = TextRules { min_documents: 2, max_share: 1.0, ..TextRules::default() };
        let mut counter = Counter::new(&rules);
        counter.capacity = 4;
        for text in ["water water rare", "water scarce", "water seldom", "water unique", "water single unique"] {
            counter.add(text);
            assert!(counter.words.len() <= 4);
        }
        // When the table was full for the first time, `unique` had occurred in one document.
        assert_eq!(counter.dropped_below, 1);
        let (vocabulary, report) = counter.vocabulary().unwrap();
        assert_eq!(vocabulary.words(), ["unique", "water"]);
        assert_eq!((report.words, report.kept), (12, 8));
        assert_eq!(report.lost, [Loss { rule: Rule::MinDocuments, words: 4 }]);
    }

    #[test]
    fn every_word_is_kept_or_lost_by_one_rule() {
        let rules = TextRules { min_documents: 2, max_share: 0.8, max_words: 2, ..TextRules::default() };
        let mut counter = Counter::new(&rules);
        let long = "x".repeat(65);
        for text in [
            "water the of an fish boat lake",
            "water fish boat lake",
            "water fish fish 1996",
            &long,
            "water rare слово",
        ] {
            counter.add(text);
        }
        let (vocabulary, report) = counter.vocabulary().unwrap();
        assert_eq!(vocabulary.words(), ["fish", "water"]);
        let lost: Vec<(Rule, u64)> = report.lost.iter().map(|loss| (loss.rule, loss.words)).collect();
        // `water` is in four of five documents, which max_share allows.
        assert_eq!(
            lost,
            [
                (Rule::MinLetters, 2),
                (Rule::Longest, 1),
                (Rule::StopWords, 1),
                (Rule::MinDocuments, 2),
                (Rule::MaxWords, 4)
            ]
        );
        assert_eq!(report.kept + lost.iter().map(|(_, words)| words).sum::<u64>(), report.words);
        assert_eq!((&*report.scripts[1].script, report.scripts[1].words), ("Cyrillic", 1));
    }
}
