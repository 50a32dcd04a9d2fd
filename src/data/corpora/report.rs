//! Reports what was read of a corpus, and which rules left words out.

use super::rules::{Rule, TextRules};
use super::scripts::SEGMENTERS;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use unicode_script::Script;

/// A summary of a corpus that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadingReport {
    /// Number of documents.
    pub documents: u64,
    /// Number of documents held out for testing.
    pub held_out: u64,
    /// Number of documents that choose the best epoch and are not trained on; `None` if the corpus is not read for
    /// training.
    pub validation: Option<u64>,
    /// Number of documents without a word of the vocabulary.
    pub empty: u64,
    /// Number of words in all documents that the vocabulary has, with repetitions.
    pub words: u64,
    /// Number of words in the vocabulary.
    pub vocabulary: u64,
    /// The rule by which documents were held out.
    pub split: String,
    /// The document with the most words.
    pub longest: Option<LongestDocument>,
    /// Assumptions about counts: the number of the first word, and the origin of the words' names.
    pub notes: Vec<String>,
    /// The report on words of text; `None` for counts.
    pub text: Option<TextReport>,
}

/// The document with the most words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongestDocument {
    /// The document's title, or its beginning; `None` if its source has no text.
    pub label: Option<String>,
    /// Number of words, with repetitions.
    pub words: u64,
}

/// The report on words of the training documents, counted with repetitions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextReport {
    /// Number of training documents.
    pub documents: u64,
    /// Number of all words.
    pub words: u64,
    /// Number of words that are in the vocabulary.
    pub kept: u64,
    /// Numbers of words that each rule left out; a word counts for the first rule that applies. Rules without words are
    /// not listed.
    pub lost: Vec<Loss>,
    /// Words per script, the most frequent script first.
    pub scripts: Vec<ScriptReport>,
}

/// The words that a rule left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The rule that left the words out.
    pub rule: Rule,
    /// Number of words, with repetitions.
    pub words: u64,
}

/// The words of one script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptReport {
    /// The name of the script in Unicode.
    pub script: String,
    /// Number of words, with repetitions.
    pub words: u64,
    /// Mean number of characters per word.
    pub mean_length: f64,
}

/// Returns the mean number of characters per word beyond which text without spaces was not segmented. Segmented words
/// have about two characters in Chinese, and five, with marks, in Thai.
fn longest_segmented_mean(script: Script) -> f64 {
    match script {
        Script::Han | Script::Hiragana | Script::Katakana => 4.5,
        _ => 11.0,
    }
}

/// The least share of a script in the words for a warning about it.
const NOTABLE_SHARE: f64 = 0.05;

impl TextReport {
    pub(super) fn new(documents: u64, words: u64, kept: u64, lost: &HashMap<Rule, u64>) -> Self {
        let of_rule = |rule: Rule| Some(Loss { rule, words: *lost.get(&rule)? });
        let lost = Rule::ALL.into_iter().filter_map(of_rule).filter(|loss| loss.words > 0).collect();
        Self { documents, words, kept, lost, scripts: Vec::new() }
    }

    /// Adds the scripts, each with its number of words and of their characters.
    pub(super) fn with_scripts(mut self, scripts: &HashMap<Script, (u64, u64)>) -> Self {
        self.scripts = scripts
            .iter()
            .map(|(script, &(words, characters))| ScriptReport {
                script: script.full_name().into(),
                words,
                mean_length: characters as f64 / words.max(1) as f64,
            })
            .collect();
        self.scripts.sort_by(|one, other| other.words.cmp(&one.words).then_with(|| one.script.cmp(&other.script)));
        self
    }

    /// Returns advice for text without spaces between words.
    fn segmenting_advice(&self) -> String {
        let found = |(script, _): &&(Script, &str)| self.scripts.iter().any(|found| found.script == script.full_name());
        match SEGMENTERS.iter().find(found) {
            Some((script, programs)) => format!(
                "{} script is written without spaces between words: put spaces between them first, by a segmenter \
                 such as {programs}",
                script.full_name()
            ),
            None => "put spaces between the words first".into(),
        }
    }

    /// Returns warnings: a rule that left out most words, and text that is not segmented.
    fn warnings(&self, rules: &TextRules, named: &dyn Fn(&str, &str) -> String) -> Vec<String> {
        let is_majority = |loss: &&Loss| 2 * loss.words > self.words;
        let mut warnings: Vec<String> = self
            .lost
            .iter()
            .filter(is_majority)
            .map(|loss| {
                let relaxed = loss.rule.relaxed();
                let advice = relaxed.map_or(String::new(), |(setting, value)| {
                    format!("; {} leaves none out for it", named(setting, value))
                });
                format!("{} of {} words {}{advice}", loss.words, self.words, loss.rule.reason(rules))
            })
            .collect();
        for (script, programs) in SEGMENTERS {
            let name = script.full_name();
            let found = self.scripts.iter().find(|found| found.script == name);
            if let Some(found) = found
                && found.words as f64 > NOTABLE_SHARE * self.words as f64
                && found.mean_length > longest_segmented_mean(script)
            {
                warnings.push(format!(
                    "words in {name} script have {:.0} characters on average: it is written without spaces between \
                     words, and the text seems to \
                     have none; put spaces between its words first, by a segmenter such as {programs}",
                    found.mean_length
                ));
            }
        }
        warnings
    }
}

impl Rule {
    /// Returns what a rule says of the words that it leaves out, as the end of a sentence.
    fn reason(self, rules: &TextRules) -> String {
        let TextRules { min_letters, min_documents, max_share, max_words, .. } = rules;
        match self {
            Rule::MinLetters => format!("have fewer than {min_letters} letters (min-letters)"),
            Rule::Longest => {
                "have more than 64 letters, as encodings have, or text without spaces between words".into()
            }
            Rule::StopWords => "are common English words (stop-words)".into(),
            Rule::MinDocuments => format!("are in fewer than {min_documents} training documents (min-documents)"),
            Rule::MaxShare => format!("are in more than a share of {max_share} of the training documents (max-share)"),
            Rule::MaxWords => format!("are beyond the {max_words} words of the most documents (max-words)"),
        }
    }

    /// Returns the rule's setting, and the value with which it leaves out no word; `None` if there is no such value.
    fn relaxed(self) -> Option<(&'static str, &'static str)> {
        match self {
            Rule::MinLetters => Some(("min_letters", "1")),
            Rule::StopWords => Some(("stop_words", "false")),
            Rule::MinDocuments => Some(("min_documents", "1")),
            Rule::MaxShare => Some(("max_share", "1")),
            Rule::Longest | Rule::MaxWords => None,
        }
    }
}

/// Makes the error that the vocabulary is empty, with the settings that would keep words.
pub(super) fn empty_vocabulary(report: &TextReport, rules: &TextRules) -> Error {
    let TextReport { documents, words, lost, .. } = report;
    if *documents == 0 {
        let problem = "all documents are held out for testing, and none is left to train on".into();
        return Error::EmptyPart { problem, held_out: false };
    }
    if *words == 0 {
        let problem =
            format!("no word is left for the vocabulary: nothing in the {documents} training documents has a letter");
        return Error::NoWordLeft { problem, relaxed: Vec::new() };
    }
    let mut lost = lost.clone();
    lost.sort_by_key(|loss| std::cmp::Reverse(loss.words));
    let causes: Vec<String> = lost.iter().map(|loss| format!("{} {}", loss.words, loss.rule.reason(rules))).collect();
    // Words that one rule left out were not tested by later rules, which may leave them out, too.
    let relaxed_by = |rule: &Rule| rule.relaxed().is_some() && lost.iter().any(|loss| loss.rule == *rule);
    let relaxed = Rule::ALL.into_iter().skip_while(|rule| !relaxed_by(rule)).filter_map(Rule::relaxed).collect();
    let is_long = lost.iter().any(|loss| loss.rule == Rule::Longest);
    let advice = if is_long { format!("; {}", report.segmenting_advice()) } else { String::new() };
    let problem = format!(
        "no word is left for the vocabulary: of {words} words in {documents} training documents, {}{advice}",
        causes.join(", ")
    );
    Error::NoWordLeft { problem, relaxed }
}

impl ReadingReport {
    /// Returns the summary as a few sentences.
    pub fn sentences(&self, rules: &TextRules) -> Vec<String> {
        let Self { documents, held_out, validation, empty, words, vocabulary, split, longest, notes, text } = self;
        let validating =
            validation.filter(|count| *count > 0).map_or(String::new(), |count| format!(", {count} for validation"));
        let mut lines = vec![format!(
            "read {documents} documents: {} to train on{validating}, {held_out} for testing ({split}), {empty} \
             without a word of the vocabulary",
            documents.saturating_sub(held_out + validation.unwrap_or(0))
        )];
        if let Some(text) = text {
            let share = 100.0 * text.kept as f64 / text.words.max(1) as f64;
            let mut line = format!(
                "kept {} of {} words of the documents that are not for testing ({share:.0} %)",
                text.kept, text.words
            );
            for loss in &text.lost {
                line.push_str(&format!(", {} {}", loss.words, loss.rule.reason(rules)));
            }
            lines.push(line);
            if text.scripts.len() > 1 || text.scripts.first().is_some_and(|found| found.script != "Latin") {
                let percent = |found: &ScriptReport| 100.0 * found.words as f64 / text.words.max(1) as f64;
                let scripts = text.scripts.iter().map(|found| format!("{} {:.1} %", found.script, percent(found)));
                lines.push(format!("scripts: {}", scripts.take(8).collect::<Vec<_>>().join(", ")));
            }
        }
        lines.extend(notes.iter().cloned());
        let mut line = format!("vocabulary of {vocabulary} words, which occur {words} times in the documents");
        if let Some(LongestDocument { label, words }) = longest {
            let label = label.as_ref().map_or(String::new(), |label| format!(": {label}"));
            line.push_str(&format!("; the longest document has {words} words{label}"));
        }
        lines.push(line);
        lines
    }

    /// Returns warnings: a rule that left out more than half of the words, text that is not segmented, parts without a
    /// document. `named` formats a setting with a value, as the user would set it.
    pub fn warnings(&self, rules: &TextRules, named: &dyn Fn(&str, &str) -> String) -> Vec<String> {
        let mut warnings = self.text.as_ref().map_or_else(Vec::new, |text| text.warnings(rules, named));
        if 2 * self.empty > self.documents {
            warnings.push(format!("{} of {} documents have no word of the vocabulary", self.empty, self.documents));
        }
        if self.validation == Some(0) {
            warnings.push(
                "no document is held out to choose the best epoch by, so that the documents that are \
                trained on choose it"
                    .into(),
            );
        }
        if self.held_out == 0 {
            warnings.push(format!(
                "no document is held out for testing ({}), so that eval has nothing to report on",
                self.split
            ));
        }
        warnings
    }
}
