//! The rules that turn a source into a corpus.

use super::columns::Columns;
use super::rules::TextRules;
use super::split::Split;

/// The rules by which a source becomes a corpus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CorpusRules {
    /// The rules for words of a text, and for the vocabulary.
    pub text: TextRules,
    /// The rule for documents that are held out.
    pub split: Split,
    /// The columns or fields of a table or of JSON lines.
    pub columns: Columns,
}

/// Takes the rules for text, with defaults for the split and the columns.
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
