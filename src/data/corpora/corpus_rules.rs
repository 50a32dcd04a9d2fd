//! All that decides what a corpus is, beside its source.

use super::columns::Columns;
use super::rules::TextRules;
use super::split::Split;

/// How a source becomes a corpus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CorpusRules {
    /// What a word of a text is, and which words the vocabulary has.
    pub text: TextRules,
    /// Which documents are held out.
    pub split: Split,
    /// Which columns or fields of a table or of JSON lines hold what.
    pub columns: Columns,
}

/// Rules for text, and the defaults of the others.
impl From<&TextRules> for CorpusRules {
    fn from(text: &TextRules) -> Self {
        Self { text: text.clone(), ..Self::default() }
    }
}

impl From<&CorpusRules> for CorpusRules {
    fn from(rules: &CorpusRules) -> Self {
        rules.clone()
    }
}
