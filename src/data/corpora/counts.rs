//! Corpora of counts: UCI bags of words, LDA-C, SVMlight.

use super::builder::CorpusBuilder;
use super::lines::{Lines, Origin};
use super::texts::label;
use super::vocabulary::{flaw, read_words};
use super::{Corpus, Document, Format};
use crate::error::{Error, Result};

/// The most words that are numbered where no vocabulary names them: a wrong index must not become a table.
const NUMBERED: u64 = 1 << 20;

/// What lies beside a file of counts.
#[derive(Default)]
pub(super) struct Beside<'a> {
    /// A word a line.
    pub words: Option<Origin<'a>>,
    /// A title a line.
    pub titles: Option<Origin<'a>>,
}

/// A file of counts that is being read.
struct Reader<'a> {
    lines: Lines<'a>,
    titles: Option<Lines<'a>>,
    /// The size of the vocabulary, where it has names.
    named: Option<u64>,
    builder: CorpusBuilder,
}

/// What is known at the end of a file.
struct Words {
    /// The number from which they are counted.
    first: u32,
    /// How many there are, as far as the file says.
    count: u64,
}

/// A corpus in one of the formats of counts.
pub(super) fn read(format: Format, origin: Origin<'_>, beside: &Beside<'_>, builder: CorpusBuilder) -> Result<Corpus> {
    let path = origin.path();
    let names = beside.words.map(read_words).transpose()?;
    if let (Some(of), Some(flaw)) = (beside.words, names.as_ref().and_then(|names| flaw(names))) {
        return Err(Error::file(of.path(), flaw.shown(|number| format!("line {}", number + 1))));
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
        (Some(names), Some(of)) if !names.is_empty() => {
            if words.count > names.len() as u64 {
                let of = of.path().display();
                return Err(Error::file(path, format!("has {} words, but {of} names {}", words.count, names.len())));
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

/// What was taken for granted.
fn notes(format: Format, words: &Words, names: Option<Origin<'_>>, named: u64) -> Vec<String> {
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
        // Some lists of titles number them.
        let numbered = title.strip_prefix(&position.to_string()).and_then(|title| title.strip_prefix(' '));
        let title = label(numbered.unwrap_or(title));
        self.builder.push(document, Some(&title)).map_err(|error| self.lines.wrong(&format!("is refused: {error}")))
    }

    fn end_titles(&mut self) -> Result<()> {
        if let Some(titles) = &mut self.titles
            && titles.advance()?
        {
            return Err(titles.wrong("is one title more than there are documents"));
        }
        Ok(())
    }

    /// `label word:count word:count ... # comment`; words from 1, or from 0 where a 0 occurs.
    fn svmlight(&mut self) -> Result<Words> {
        let mut has_zero = false;
        while self.lines.advance()? {
            let content = self.lines.text()?.split('#').next().unwrap_or_default();
            let mut items = content.split_ascii_whitespace().peekable();
            let Some(first) = items.peek() else { continue };
            if !first.contains(':') {
                if !first.split(',').all(|label| label.parse::<f64>().is_ok()) {
                    return Err(self.lines.wrong(&format!("starts with {}, but must with a number", shown(first))));
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
        Ok(Words { first, count: self.words_from(first) })
    }

    /// `N word:count word:count ...`, `N` of them; words from 0.
    fn lda_c(&mut self) -> Result<Words> {
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
        Ok(Words { first: 0, count: self.words_from(0) })
    }

    /// Three lines: documents, words, entries; then an entry a line, `document word count`, both from 1, documents
    /// ascending.
    fn uci(&mut self) -> Result<Words> {
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
        if self.named.is_none() && words > NUMBERED {
            let problem =
                format!("announces {words} words in line 2, but without a vocabulary at most {NUMBERED} are taken");
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
            let of = self.number(first, "document", documents)?;
            let word = self.number(word, "word", words)?;
            let entry = (word as u32, self.count(count)?);
            if of == 0 || word == 0 {
                return Err(self.lines.wrong("has a number 0, but documents and words are counted from 1"));
            }
            found += 1;
            if found > entries {
                return Err(self.lines.wrong(&format!("is entry {found}, but line 3 announces {entries}")));
            }
            self.skip_to(of, found, &mut document)?;
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
        Ok(Words { first: 1, count: words })
    }

    /// Ends all documents before this one, counted from 1.
    fn skip_to(&mut self, document: u64, entries: u64, current: &mut Document) -> Result<()> {
        let number = self.builder.len() + 1;
        if document < number {
            let problem = format!("goes back from document {number} to {document}: sort the file by its first column");
            return Err(self.lines.wrong(&problem));
        }
        // Documents without a word are rare; a wrong number must not become a million of them.
        if document > 2 * entries + NUMBERED {
            return Err(self.lines.wrong(&format!("leads to document {document} after only {entries} entries")));
        }
        while self.builder.len() + 1 < document {
            self.push(std::mem::take(current))?;
        }
        Ok(())
    }

    /// A number of its own line.
    fn announced(&mut self, what: &str) -> Result<u64> {
        if !self.lines.advance()? {
            return Err(self.lines.wrong(&format!("is missing: it would hold the number of {what}")));
        }
        self.number(self.lines.text()?.trim_ascii(), &format!("number of {what}"), u64::from(u32::MAX) - 1)
    }

    /// `word:count`, where words are counted from 0 or from 1.
    fn entry(&self, item: &str, first: u64) -> Result<(u32, u32)> {
        let Some((word, count)) = item.split_once(':') else {
            return Err(self.lines.wrong(&format!("has {}, but must have word:count", shown(item))));
        };
        let largest = match self.named {
            Some(named) => (named + first).saturating_sub(1),
            None => NUMBERED - 1,
        };
        Ok((self.number(word, "word", largest)? as u32, self.count(count)?))
    }

    /// A whole number from 0.
    fn number(&self, item: &str, what: &str, largest: u64) -> Result<u64> {
        match item.parse() {
            Ok(number) if number <= largest => Ok(number),
            Ok(number) if what == "word" && self.named.is_none() => {
                Err(self.lines.wrong(&format!("has word {number}, but without a vocabulary they go to {largest}")))
            }
            Ok(number) => Err(self.lines.wrong(&format!("has {what} {number}, but they go to {largest}"))),
            Err(_) => Err(self.lines.wrong(&format!("has {} as {what}, but it must be a whole number", shown(item)))),
        }
    }

    /// A count; decimals are taken where they are whole.
    fn count(&self, item: &str) -> Result<u32> {
        if let Ok(count) = item.parse() {
            return Ok(count);
        }
        match item.parse::<f64>() {
            Ok(count) if count.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&count) => Ok(count as u32),
            _ => Err(self.lines.wrong(&format!(
                "has a count of {}, but counts are whole numbers from 0 to {}",
                shown(item),
                u32::MAX
            ))),
        }
    }

    /// How many words there are, when they are counted from `first`.
    fn words_from(&self, first: u32) -> u64 {
        self.builder.largest_word().map_or(0, |word| (u64::from(word) + 1).saturating_sub(u64::from(first)))
    }
}

/// The start of what stands in a file, as errors quote it.
fn shown(item: &str) -> String {
    let start: String = item.chars().take(20).collect();
    if start.len() < item.len() { format!("{start:?}...") } else { format!("{start:?}") }
}
