//! Settings whose value is one of a few words: the words, their descriptions, and the parser.

use std::fmt::Display;
use std::str::FromStr;

/// A setting whose value is one of a few words. `Display` writes the word, `FromStr` reads it.
pub trait Choice: Copy + Display + FromStr<Err = crate::error::Error> + Send + Sync + 'static {
    /// All values, in the order in which the help lists them.
    const CHOICES: &'static [Self];

    /// Returns the word, as a user types it and as files store it.
    fn word(self) -> &'static str;

    /// Returns a description of a few words, which the help shows.
    fn about(self) -> &'static str;
}

/// Implements `Display` and `FromStr` for a [`Choice`].
macro_rules! impl_display_and_from_str {
    ($name:ident, $what:literal) => {
        impl std::fmt::Display for $name {
            /// Writes the word.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(crate::choice::Choice::word(*self))
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            fn from_str(word: &str) -> crate::error::Result<Self> {
                use crate::choice::Choice;
                let found = Self::CHOICES.iter().find(|choice| choice.word() == word).copied();
                found.ok_or_else(|| {
                    let words: Vec<&str> = Self::CHOICES.iter().map(|choice| choice.word()).collect();
                    let allowed = format!("one of {}", words.join(", "));
                    crate::error::Error::parameter($what, format!("'{word}'"), allowed)
                })
            }
        }
    };
}

/// Defines an enum that is a [`Choice`]: each variant with its word. The doc comment of a variant is its description.
macro_rules! choices {
    (
        $what:literal;
        $(#[$outer:meta])*
        pub enum $name:ident {
            $(
                #[doc = $about:literal]
                $(#[$attribute:ident])?
                $variant:ident = $word:literal,
            )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(
                #[doc = $about]
                $(#[$attribute])?
                #[serde(rename = $word)]
                $variant,
            )*
        }

        impl crate::choice::Choice for $name {
            const CHOICES: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => $about.trim_ascii(),)*
                }
            }
        }

        crate::choice::impl_display_and_from_str!($name, $what);
    };
}

pub(crate) use {choices, impl_display_and_from_str};

#[cfg(test)]
mod tests {
    use super::*;

    choices! {
        "colour";
        /// A colour.
        #[derive(Default)]
        pub enum Colour {
            /// Of blood
            #[default]
            Red = "red",
            /// Of the sky at noon
            LightBlue = "light-blue",
        }
    }

    #[test]
    fn words_are_read_and_written() {
        assert_eq!("light-blue".parse::<Colour>().unwrap(), Colour::LightBlue);
        assert_eq!(serde_json::to_string(&Colour::LightBlue).unwrap(), "\"light-blue\"");
        assert_eq!((Colour::default().to_string().as_str(), Colour::LightBlue.about()), ("red", "Of the sky at noon"));
        let error = "green".parse::<Colour>().unwrap_err().to_string();
        assert_eq!(error, "colour is 'green', but must be one of red, light-blue");
    }
}
