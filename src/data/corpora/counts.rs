//! Reads corpora of counts: UCI bags of words, LDA-C, SVMlight.

use super::builder::CorpusBuilder;
use super::lines::{Lines, Origin};
use super::texts::label;
use super::vocabulary::{flaw, read_words};
use super::{Corpus, Document, Format};
use crate::error::{Error, Result};

/// The most words without a vocabulary that names them, so that one wrong word number cannot make a huge vocabulary.
const MAX_UNNAMED_WORDS: u64 = 1 << 20;

/// The files that accompany a file of counts.
#[derive(Default)]
pub(super) struct Companions<'a> {
    /// The vocabulary, one word per line.
    pub words: Option<Origin<'a>>,
    /// The titles, one per line.
    pub titles: Option<Origin<'a>>,
}

/// The state of reading a file of counts.
struct Reader<'a> {
    lines: Lines<'a>,
    titles: Option<Lines<'a>>,
    /// The size of the vocabulary, if there is a file with names.
    named: Option<u64>,
    builder: CorpusBuilder,
}

/// The numbering of words, known at the end of a file.
struct WordNumbering {
    /// The number of the first word: 0 or 1.
    first: u32,
    /// The number of words, as far as the file shows it.
    count: u64,
}

/// Reads a corpus in one of the formats of counts.
pub(super) fn read(
    format: Format,
    origin: Origin<'_>,
    beside: &Companions<'_>,
    builder: CorpusBuilder,
) -> Result<Corpus> {
    let path = origin.path();
    let names = beside.words.map(read_words).transpose()?;
    if let (Some(origin), Some(flaw)) = (beside.words, names.as_ref().and_then(|names| flaw(names))) {
        return Err(Error::file(origin.path(), flaw.describe(|number| format!("line {}", number + 1))));
    }
    let titles = beside.titles.map(Origin::lines).transpose()?;
    let named = names.as_ref().map(|names| names.len() as u64);
    let mut reader = Reader { lines: origin.lines()?, titles, named, builder };
    let words = match format {
        Format::Uci => reader.uci()?,
        Format::LdaC => reader.lda_c()?,
        _ => reader.svmlight()?,
    };
    reader.end_titles()?;
    if reader.builder.len() == 0 {
        return Err(Error::file(path, "holds no document"));
    }
    let names = match (names, beside.words) {
        (Some(names), Some(origin)) if !names.is_empty() => {
            if words.count > names.len() as u64 {
                let file = origin.path().display();
                return Err(Error::file(path, format!("has {} words, but {file} names {}", words.count, names.len())));
            }
            names
        }
        (Some(_), _) => return Err(Error::file(path, "has a vocabulary without a word")),
        _ if words.count == 0 => return Err(Error::file(path, "holds no word")),
        _ => (0..words.count).map(|number| (number + u64::from(words.first)).to_string()).collect(),
    };
    let notes = notes(format, &words, beside.words, names.len() as u64);
    Ok(reader.builder.finish(names, words.first, None)?.with_notes(notes))
}

/// Returns notes about assumptions that the reader made.
fn notes(format: Format, words: &WordNumbering, names: Option<Origin<'_>>, named: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if format == Format::SvmLight {
        let reason = if words.first == 0 { "a word 0 occurs" } else { "no word 0 occurs" };
        let mut note = format!("words are counted from {}, since {reason}", words.first);
        if names.is_some() && words.first == 1 && words.count < named {
            note.push_str(
                "; if they are counted from 0, and the first word is in no document, every word has a wrong name",
            );
        }
        notes.push(note);
    }
    match names {
        Some(names) if words.count < named => notes.push(format!(
            "{} names {named} words, of which the last {} are in no document",
            names.path().display(),
            named - words.count
        )),
        Some(_) => {}
        None => notes.push(
            "words have no names, since no vocabulary lies beside the file (.vocab, .tokens, \
            vocab.txt): they are called by their numbers"
                .into(),
        ),
    }
    notes
}

impl Reader<'_> {
    /// Adds a document, with the next title.
    fn push(&mut self, document: Document) -> Result<()> {
        let position = self.builder.len();
        let Some(titles) = &mut self.titles else {
            return self
                .builder
                .push(document, None)
                .map_err(|error| self.lines.wrong(&format!("is refused: {error}")));
        };
        if !titles.advance()? {
            return Err(titles.wrong("is missing: there are more documents than titles"));
        }
        let title = titles.text()?;
        // Some lists of titles begin each line with its number.
        let numbered = title.strip_prefix(&position.to_string()).and_then(|title| title.strip_prefix(' '));
        let title = label(numbered.unwrap_or(title));
        self.builder.push(document, Some(&title)).map_err(|error| self.lines.wrong(&format!("is refused: {error}")))
    }

    /// Checks that there are not more titles than documents.
    fn end_titles(&mut self) -> Result<()> {
        if let Some(titles) = &mut self.titles
            && titles.advance()?
        {
            return Err(titles.wrong("is one title more than there are documents"));
        }
        Ok(())
    }

    /// Reads `label word:count word:count ... # comment`. Words are numbered from 1, or from 0 if a word 0 occurs.
    fn svmlight(&mut self) -> Result<WordNumbering> {
        let mut has_zero = false;
        while self.lines.advance()? {
            let content = self.lines.text()?.split('#').next().unwrap_or_default();
            let mut items = content.split_ascii_whitespace().peekable();
            let Some(first) = items.peek() else { continue };
            if !first.contains(':') {
                if !first.split(',').all(|label| label.parse::<f64>().is_ok()) {
                    return Err(self.lines.wrong(&format!("starts with {}, not with a number", quote_start(first))));
                }
                items.next();
            }
            let mut document = Vec::new();
            for item in items.filter(|item| !item.starts_with("qid:")) {
                let (word, count) = self.entry(item, 1)?;
                has_zero |= word == 0;
                document.push((word, count));
            }
            self.push(document)?;
        }
        let first = u32::from(!has_zero);
        Ok(WordNumbering { first, count: self.words_from(first) })
    }

    /// Reads `N word:count word:count ...` with `N` entries; words are numbered from 0.
    fn lda_c(&mut self) -> Result<WordNumbering> {
        while self.lines.advance()? {
            let mut items = self.lines.text()?.split_ascii_whitespace();
            let Some(first) = items.next() else { continue };
            let announced = self.number(first, "number of words", u64::MAX)?;
            let mut document = Vec::new();
            for item in items {
                document.push(self.entry(item, 0)?);
            }
            if document.len() as u64 != announced {
                let problem = format!("announces {announced} words, but has {}", document.len());
                return Err(self.lines.wrong(&problem));
            }
            self.push(document)?;
        }
        Ok(WordNumbering { first: 0, count: self.words_from(0) })
    }

    /// Reads three lines with the numbers of documents, words and entries; then one entry per line,
    /// `document word count`, both numbered from 1, documents ascending.
    fn uci(&mut self) -> Result<WordNumbering> {
        let [documents, words, entries] = ["documents", "words", "entries"].map(|what| self.announced(what));
        let (documents, words, entries) = (documents?, words?, entries?);
        if let Some(named) = self.named
            && named != words
        {
            return Err(Error::file(
                self.lines.path(),
                format!("announces {words} words in line 2, but its vocabulary has {named}"),
            ));
        }
        if self.named.is_none() && words > MAX_UNNAMED_WORDS {
            let problem =
                format!("announces {words} words in line 2, but without a vocabulary the most is {MAX_UNNAMED_WORDS}");
            return Err(Error::file(self.lines.path(), problem));
        }
        let mut found = 0;
        let mut document = Vec::new();
        while self.lines.advance()? {
            let mut items = self.lines.text()?.split_ascii_whitespace();
            let Some(first) = items.next() else { continue };
            let (Some(word), Some(count), None) = (items.next(), items.next(), items.next()) else {
                return Err(self.lines.wrong("must hold three numbers: document, word, count"));
            };
            let of_document = self.number(first, "document", documents)?;
            let word = self.number(word, "word", words)?;
            let entry = (word as u32, self.count(count)?);
            if of_document == 0 || word == 0 {
                return Err(self.lines.wrong("has a number 0, but documents and words are counted from 1"));
            }
            found += 1;
            if found > entries {
                return Err(self.lines.wrong(&format!("is entry {found}, but line 3 announces {entries}")));
            }
            self.skip_to(of_document, found, &mut document)?;
            document.push(entry);
        }
        if found != entries {
            let problem = format!("announces {entries} entries in line 3, but has {found}; get the file again");
            return Err(Error::file(self.lines.path(), problem));
        }
        if documents > 0 {
            self.skip_to(documents, found, &mut document)?;
            self.push(document)?;
        }
        Ok(WordNumbering { first: 1, count: words })
    }

    /// Ends all documents before number `document`, counted from 1.
    fn skip_to(&mut self, document: u64, entries: u64, current: &mut Document) -> Result<()> {
        let number = self.builder.len() + 1;
        if document < number {
            let problem = format!("goes back from document {number} to {document}: sort the file by its first column");
            return Err(self.lines.wrong(&problem));
        }
        // Documents without a word are rare; one wrong number must not make a million of them.
        if document > 2 * entries + MAX_UNNAMED_WORDS {
            return Err(self.lines.wrong(&format!("leads to document {document} after only {entries} entries")));
        }
        while self.builder.len() + 1 < document {
            self.push(std::mem::take(current))?;
        }
        Ok(())
    }

    /// Reads a line with one number.
    fn announced(&mut self, what: &str) -> Result<u64> {
        if !self.lines.advance()? {
            return Err(self.lines.wrong(&format!("is missing: it would hold the number of {what}")));
        }
        self.number(self.lines.text()?.trim_ascii(), &format!("number of {what}"), u64::from(u32::MAX) - 1)
    }

    /// Parses `word:count`, with words numbered from `first`, 0 or 1.
    fn entry(&self, item: &str, first: u64) -> Result<(u32, u32)> {
        let Some((word, count)) = item.split_once(':') else {
            return Err(self.lines.wrong(&format!("has {}, but must have word:count", quote_start(item))));
        };
        let largest = match self.named {
            Some(named) => (named + first).saturating_sub(1),
            None => MAX_UNNAMED_WORDS - 1,
        };
        Ok((self.number(word, "word", largest)? as u32, self.count(count)?))
    }

    /// Parses a whole number from 0 to `largest`.
    fn number(&self, item: &str, what: &str, largest: u64) -> Result<u64> {
        match item.parse() {
            Ok(number) if number <= largest => Ok(number),
            Ok(number) if what == "word" && self.named.is_none() => {
                Err(self.lines.wrong(&format!("has word {number}, but without a vocabulary the largest is {largest}")))
            }
            Ok(number) => Err(self.lines.wrong(&format!("has {what} {number}, but the largest is {largest}"))),
            Err(_) => {
                Err(self.lines.wrong(&format!("has {} as {what}, but it must be a whole number", quote_start(item))))
            }
        }
    }

    /// Parses a count; a decimal such as `2.0` is accepted if it is whole.
    fn count(&self, item: &str) -> Result<u32> {
        if let Ok(count) = item.parse() {
            return Ok(count);
        }
        match item.parse::<f64>() {
            Ok(count) if count.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&count) => Ok(count as u32),
            _ => Err(self.lines.wrong(&format!(
                "has a count of {}, but counts are whole numbers from 0 to {}",
                quote_start(item),
                u32::MAX
            ))),
        }
    }

    /// Returns the number of words if they are numbered from `first`.
    fn words_from(&self, first: u32) -> u64 {
        self.builder.largest_word().map_or(0, |word| (u64::from(word) + 1).saturating_sub(u64::from(first)))
    }
}

/// Returns the beginning of a part of a line, as errors quote it.
fn quote_start(item: &str) -> String {
    let start: String = item.chars().take(20).collect();
    if start.len() < item.len() { format!("{start:?}...") } else { format!("{start:?}") }
}
