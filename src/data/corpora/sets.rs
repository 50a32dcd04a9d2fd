//! The corpora that a run can name, and how they are loaded.

use super::builder::{self, CorpusBuilder};
use super::columns::Columns;
use super::corpus_rules::CorpusRules;
use super::counts::{self, Companions};
use super::header::Header;
use super::lines::{MAX_LINE_BYTES, Origin};
use super::quotes::Quotes;
use super::rules::Segmentation;
use super::split::SplitRule;
use super::texts::{self, Texts};
use super::{Corpus, Format, TextRules, npz};
use crate::error::{Error, Result};
use crate::formats::npz::Archive;
use crate::platform::files::absolute_text;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The source of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorpusSet {
    /// 395 Reuters news documents of 1996 and 1997 with 4,258 words and their titles, built into the crate.
    Reuters395,
    /// 20 Newsgroups with the vocabulary of the ProdLDA papers: 11,258 and 7,487 documents, 1,995 words.
    TwentyNews,
    /// Reuters-21578, ModApte split: 7,758 and 3,005 documents, 2,000 words.
    Reuters21578,
    /// A sample of RCV1: 2,316 documents, 10,000 words.
    Rcv1Sample,
    /// A file or a folder.
    Path {
        /// The path.
        path: PathBuf,
        /// The format; `None`: detected from name and content.
        format: Option<Format>,
    },
    /// Standard input, which is read once: text, or counts without a vocabulary beside.
    StandardInput {
        /// The format; `None`: detected from the beginning.
        format: Option<Format>,
    },
}

impl CorpusSet {
    /// Parses `reuters-395`, `20news`, `reuters21578`, `rcv1-sample`, a path, or `-` for standard input. A format may
    /// precede a path or `-`, as in `svmlight:PATH`.
    pub fn from_name(name: &str) -> Self {
        match name {
            "reuters-395" => CorpusSet::Reuters395,
            "20news" => CorpusSet::TwentyNews,
            "reuters21578" => CorpusSet::Reuters21578,
            "rcv1-sample" => CorpusSet::Rcv1Sample,
            name => {
                let named = name.split_once(':').and_then(|(format, path)| Some((Format::from_name(format)?, path)));
                match named {
                    Some((format, "-")) => CorpusSet::StandardInput { format: Some(format) },
                    None if name == "-" => CorpusSet::StandardInput { format: None },
                    Some((format, path)) => CorpusSet::Path { path: path.into(), format: Some(format) },
                    None => CorpusSet::Path { path: name.into(), format: None },
                }
            }
        }
    }

    /// Makes the path in the name of a corpus absolute, if the current folder is known and both are UTF-8. Other names
    /// stay.
    pub fn absolute_name(name: &str) -> String {
        let CorpusSet::Path { path, format } = Self::from_name(name) else { return name.into() };
        let Some(path) = absolute_text(&path) else { return name.into() };
        format.map_or(path.clone(), |format| format!("{}:{path}", format.name()))
    }

    /// Reads the corpus. The files of named sets are searched for in `folder` and in its subfolder `text`. `rules` may
    /// be rules for text alone.
    ///
    /// With a folder `store`, documents are written to it as they are read (`train.documents`, `test.documents`,
    /// `documents.vocabulary`), and only what was used last is in memory: beside the counts for a vocabulary, some 30
    /// MB, whatever the size of the corpus. Text is read twice, counts once; archives, which hold their arrays whole,
    /// are read into memory first. The folder is a corpus of its own afterwards. When the same corpus is loaded by the
    /// same rules into it again, it opens at once, and its source is not read, nor needed; a file that is there must
    /// not have changed. One process at a time writes it.
    ///
    /// # Errors
    /// When a file is missing, truncated or malformed, or no document or no word is left; the message names the file,
    /// and the line where there is one. Also when the store holds another corpus, or another process writes it.
    pub fn load(&self, folder: Option<&Path>, rules: impl Into<CorpusRules>, store: Option<&Path>) -> Result<Corpus> {
        let rules = rules.into();
        rules.split.check()?;
        let mut lock = None;
        if let Some(store) = store {
            let (source, state) = (self.source(&rules), self.state());
            let holds = || builder::is_store_of(store, &source, state.as_deref());
            if holds()? {
                return builder::open(store, rules.split);
            }
            lock = Some(builder::lock(store)?);
            // Another process may have written it between the look and the lock.
            if holds()? {
                return builder::open(store, rules.split);
            }
            builder::start_store(store, &source, state.as_deref())?;
        }
        let corpus = self.read(folder, &rules, store);
        drop(lock);
        corpus
    }

    /// Reads the corpus, into a store where there is one, which is this process's.
    fn read(&self, folder: Option<&Path>, rules: &CorpusRules, store: Option<&Path>) -> Result<Corpus> {
        match self {
            CorpusSet::Reuters395 => reuters(rules, store),
            CorpusSet::TwentyNews => archive(&find(folder, "20news", "20news_prodlda_V1995.npz")?, store),
            CorpusSet::Reuters21578 => archive(&find(folder, "reuters21578", "reuters21578_V2000.npz")?, store),
            CorpusSet::Rcv1Sample => archive(&find(folder, "rcv1-sample", "rcv1_sample_V10000.npz")?, store),
            CorpusSet::Path { path, format } => load(Format::or_recognise(*format, path)?, path, rules, store),
            CorpusSet::StandardInput { format } => {
                let (bytes, format) = standard_input(*format)?;
                if bytes.is_empty() {
                    let problem = "holds no document; pipe the corpus into the program, also where a run goes on that \
                        was trained on it: nothing else keeps it";
                    return Err(Error::file(STANDARD_INPUT, problem));
                }
                stored(parse(format, Path::new(STANDARD_INPUT), &bytes, None, rules)?, store)
            }
        }
    }

    /// Returns whether the source itself names the documents for testing.
    fn is_archive(&self) -> bool {
        match self {
            CorpusSet::TwentyNews | CorpusSet::Reuters21578 | CorpusSet::Rcv1Sample => true,
            CorpusSet::Path { path, format } => format.or_else(|| Format::recognise(path).ok()) == Some(Format::Npz),
            CorpusSet::Reuters395 | CorpusSet::StandardInput { .. } => false,
        }
    }

    /// Returns whether the source is a table; `false` if it does not exist.
    fn is_table(&self) -> bool {
        let CorpusSet::Path { path, format } = self else { return false };
        let format = format.or_else(|| Format::recognise(path).ok());
        matches!(format, Some(Format::Csv | Format::Tsv))
    }

    /// Loads the corpus as [`load`](Self::load) does, but writes nothing. A store that holds this whole corpus is
    /// opened; otherwise, the documents are read into memory.
    ///
    /// # Errors
    /// Fails as `load` does.
    pub fn load_without_writing(
        &self,
        folder: Option<&Path>,
        rules: impl Into<CorpusRules>,
        store: Option<&Path>,
    ) -> Result<Corpus> {
        let rules = rules.into();
        match store {
            Some(store) if builder::is_store_of(store, &self.source(&rules), self.state().as_deref())? => {
                builder::open(store, rules.split)
            }
            _ => self.load(folder, rules, None),
        }
    }

    /// Returns the size and the modification time of the source, if it is an existing file.
    fn state(&self) -> Option<String> {
        let CorpusSet::Path { path, .. } = self else { return None };
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("bytes: {}\nchanged at: {}\n", found.len(), changed.as_secs()))
    }

    /// Returns the description of source and rules that a store holds.
    fn source(&self, rules: &CorpusRules) -> String {
        let corpus = match self {
            CorpusSet::Reuters395 => "reuters-395".into(),
            CorpusSet::TwentyNews => "20news".into(),
            CorpusSet::Reuters21578 => "reuters21578".into(),
            CorpusSet::Rcv1Sample => "rcv1-sample".into(),
            CorpusSet::Path { path, format } => {
                let path = absolute_text(path).unwrap_or_else(|| path.display().to_string());
                format.map_or(path.clone(), |format| format!("{}:{path}", format.name()))
            }
            CorpusSet::StandardInput { .. } => "-".into(),
        };
        let CorpusRules { text, split, columns } = rules;
        let TextRules { segmentation, lower_case, min_letters, stop_words, min_documents, max_share, max_words } = text;
        let mut source = format!(
            "corpus: {corpus}\nlower case: {lower_case}\nletters: {min_letters}\nstop words left out: {stop_words}\n\
             documents of a word: {min_documents}\nshare of documents: {max_share}\nwords: {max_words}\n"
        );
        // Settings at their former values are left out, so that stores without these lines still match.
        if *segmentation != Segmentation::Letters {
            source.push_str("segmentation: unicode\n");
        }
        if self.is_archive() {
            source.push_str(&format!("{}\n", builder::SPLIT_OF_SOURCE));
        } else if split.rule != SplitRule::EveryTenth {
            source.push_str(&format!("split: {}\n", split.describe()));
        }
        for (name, column) in [("text", &columns.text), ("id", &columns.id)] {
            if let Some(column) = column {
                source.push_str(&format!("column of {name}: {}\n", column.escape_debug()));
            }
        }
        if self.is_table() && columns.header != Header::Short {
            source.push_str(&format!("first line names columns: {:?}\n", columns.header));
        }
        if self.is_table() && columns.quotes != Quotes::Any {
            source.push_str(&format!("double quotes: {:?}\n", columns.quotes));
        }
        source
    }
}

/// Loads a corpus from a path in a known format.
fn load(format: Format, path: &Path, rules: &CorpusRules, store: Option<&Path>) -> Result<Corpus> {
    let origin = Origin::File(path);
    let builder = || CorpusBuilder::new(rules.split, store);
    if let Some(texts) = Texts::open(format, origin, &rules.columns)? {
        return texts::read(path, &texts, rules, builder()?);
    }
    match format {
        Format::Npz => archive(path, store),
        Format::Store => builder::open(path, rules.split),
        _ => {
            let first = |paths: Vec<PathBuf>| paths.into_iter().find(|path| path.is_file());
            let (words, titles) = (first(Format::vocabularies(path)), first(Format::titles(path)));
            let companions =
                Companions { words: words.as_deref().map(Origin::File), titles: titles.as_deref().map(Origin::File) };
            counts::read(format, origin, &companions, builder()?)
        }
    }
}

/// Reads a corpus as [`Corpus::parse`] does.
pub(super) fn parse(
    format: Format,
    name: &Path,
    bytes: &[u8],
    words: Option<&[u8]>,
    rules: &CorpusRules,
) -> Result<Corpus> {
    if matches!(format, Format::Folder | Format::Store) {
        return Err(Error::file(name, format!("the format {} is that of a folder, not of bytes", format.name())));
    }
    let origin = Origin::Bytes(name, bytes);
    let builder = CorpusBuilder::new(rules.split, None)?;
    if let Some(texts) = Texts::open(format, origin, &rules.columns)? {
        return texts::read(name, &texts, rules, builder);
    }
    if format == Format::Npz {
        return npz::read(name, Archive::new(name, Cursor::new(bytes))?);
    }
    let companions = Companions { words: words.map(|words| Origin::Bytes(name, words)), titles: None };
    counts::read(format, origin, &companions, builder)
}

/// Visits texts as [`visit_texts`](super::visit_texts) does.
pub(super) fn visit_texts(
    source: &CorpusSet,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Vec<String>> {
    let bytes;
    let (origin, format) = match source {
        CorpusSet::Path { path, format } => (Origin::File(path), Format::or_recognise(*format, path)?),
        CorpusSet::StandardInput { format } => {
            let (read, format) = standard_input(*format)?;
            bytes = read;
            (Origin::Bytes(Path::new(STANDARD_INPUT), &bytes), format)
        }
        _ => {
            return Err(Error::Config("the named corpora hold counts of words and no texts; give a path, or -".into()));
        }
    };
    let Some(texts) = Texts::open(format, origin, columns)? else {
        let problem = "holds no texts; give a file of lines, a table (.csv, .tsv), .jsonl, or a folder of .txt files";
        return Err(Error::file(origin.path(), problem));
    };
    texts.visit(each)
}

/// The name of standard input in errors.
const STANDARD_INPUT: &str = "standard input";

/// Reads standard input into memory, since it cannot be read twice, and detects its format if none is given.
fn standard_input(format: Option<Format>) -> Result<(Vec<u8>, Format)> {
    let mut bytes = Vec::new();
    let max_bytes = 4 * MAX_LINE_BYTES;
    let wrong = |problem: String| Error::file(STANDARD_INPUT, problem);
    let read = std::io::stdin().lock().take(max_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::caused(STANDARD_INPUT, "cannot be read", error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(wrong(format!("holds more than {max_bytes} bytes; write it to a file, and name that")));
    }
    let recognise = || Format::of_stream(Origin::Bytes(Path::new(STANDARD_INPUT), &bytes));
    let format = format.map_or_else(recognise, Ok)?;
    Ok((bytes, format))
}

fn archive(path: &Path, store: Option<&Path>) -> Result<Corpus> {
    stored(Corpus::read_npz(path)?, store)
}

/// Copies a corpus from memory into a store, if one is given.
fn stored(corpus: Corpus, store: Option<&Path>) -> Result<Corpus> {
    match store {
        Some(folder) => builder::store(corpus, folder),
        None => Ok(corpus),
    }
}

fn reuters(rules: &CorpusRules, store: Option<&Path>) -> Result<Corpus> {
    let name = Path::new("built-in Reuters documents");
    let [counts, words, titles]: [&[u8]; 3] = [
        include_bytes!("../reuters/reuters.ldac.gz"),
        include_bytes!("../reuters/reuters.tokens.gz"),
        include_bytes!("../reuters/reuters.titles.gz"),
    ];
    let origin = |bytes| Origin::Bytes(name, bytes);
    let companions = Companions { words: Some(origin(words)), titles: Some(origin(titles)) };
    counts::read(Format::LdaC, origin(counts), &companions, CorpusBuilder::new(rules.split, store)?)
}

/// Returns the path of a named set's file.
fn find(folder: Option<&Path>, set: &str, name: &str) -> Result<PathBuf> {
    const SOURCE: &str = "an .npz of compressed sparse rows: {train,test}_{ptr,words,counts}, and 'vocab', the bytes \
        of a list joined by newlines";
    let Some(folder) = folder else {
        return Err(Error::NamedDataMissing {
            problem: format!("the corpus {set} needs a folder with {name} ({SOURCE})"),
        });
    };
    let candidates = [folder.join(name), folder.join("text").join(name)];
    let looked = candidates.each_ref().map(|path| path.display().to_string()).join(" and ");
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| Error::NamedDataMissing {
        problem: format!("the corpus {set} is missing: looked for {looked} (it is {SOURCE})"),
    })
}
