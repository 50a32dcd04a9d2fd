//! The parser of options whose value is one of a few words, and the list of words in the help.

use crate::choice::Choice;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Returns a parser for the words of a setting. The help lists the words, the long help describes each.
pub fn choice<T: Choice>() -> impl TypedValueParser<Value = T> {
    choice_of(|_: &T| true)
}

/// The same, of some of the words.
pub fn choice_of<T: Choice>(is_offered: impl Fn(&T) -> bool) -> impl TypedValueParser<Value = T> {
    let word = |choice: &T| {
        let about = choice.about();
        PossibleValue::new(choice.word()).help(about.strip_suffix('.').unwrap_or(about))
    };
    PossibleValuesParser::new(T::CHOICES.iter().filter(|&choice| is_offered(choice)).map(word))
        .try_map(|word| word.parse::<T>())
}
