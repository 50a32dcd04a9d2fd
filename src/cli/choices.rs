//! Options that are one of a few words: their parser, and the list of words in the help.

use crate::choice::Choice;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Reads one of the words of a setting; the help lists them, the long help says what each is.
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
