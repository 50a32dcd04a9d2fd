//! Corpora: the built-in one, files of every format, text and its rules, documents on disk.

use crate::common::npz::{Numbers, archive};
use flate2::{Compression, write::GzEncoder};
use gengs::Error;
use gengs::data::{Corpus, CorpusRules, CorpusSet, Document, Documents, Split, TextRules, Vocabulary, epoch_order};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Every tenth document is for testing, so that these files may be small.
fn tenth(rules: &TextRules) -> CorpusRules {
    CorpusRules { split: Split::every_tenth(), ..rules.into() }
}

fn load(path: &Path, rules: &TextRules) -> gengs::Result<Corpus> {
    CorpusSet::from_name(path.to_str().unwrap()).load(None, tenth(rules), None)
}

/// All words that are there, however often.
fn all_words() -> TextRules {
    TextRules { min_letters: 1, stop_words: false, min_documents: 1, max_share: 1.0, ..TextRules::default() }
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn all(documents: &Documents) -> Vec<Document> {
    documents.iter().map(Result::unwrap).collect()
}

/// Loading this file fails with an error of one line that names it and has these parts.
#[track_caller]
fn refused(path: &Path, rules: &TextRules, parts: &[&str]) {
    let error = load(path, rules).expect_err(&format!("{} was accepted", path.display())).whole();
    for part in parts.iter().chain([&path.to_str().unwrap()]) {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
    assert!(!error.contains('\n') && error.chars().count() < 600, "{error}");
}

/// `python3 tests/oracles/reuters.py`.
#[test]
fn the_built_in_documents_are_those_of_their_source() {
    let corpus = CorpusSet::from_name("reuters-395").load(None, tenth(&TextRules::default()), None).unwrap();
    assert_eq!(corpus.vocabulary.len(), 4258);
    assert_eq!([0, 1000, 4257].map(|word: usize| &*corpus.vocabulary[word]), ["church", "solidarity", "jailed"]);
    for (documents, count, tokens, entries, longest, weighted) in
        [(&corpus.train, 356, 75_121, 53_693, 541, 13_297_863_619u64), (&corpus.test, 39, 8889, 6421, 356, 190_898_959)]
    {
        assert_eq!((documents.len(), documents.tokens()), (count, tokens));
        let rows = all(documents);
        assert_eq!(rows.iter().map(Vec::len).sum::<usize>(), entries);
        let length = |row: &Document| row.iter().map(|(_, count)| *count).sum::<u32>();
        assert_eq!(rows.iter().map(length).max(), Some(longest));
        let weights = (1u64..).zip(&rows).flat_map(|(number, row)| {
            row.iter().map(move |&(word, count)| number * u64::from(word + 1) * u64::from(count))
        });
        assert_eq!(weights.sum::<u64>(), weighted);
    }
    let title = "UK: Charles under fire over prospect of Queen Camilla. LONDON 1996-08-26";
    assert_eq!(corpus.test.label(0).unwrap().as_deref(), Some(title));
    let title = "USA: EVEN IN DEATH, ELVIS LIVES. LOS ANGELES 1997-08-11";
    assert_eq!(corpus.test.label(38).unwrap().as_deref(), Some(title));
}

/// The defaults: a share of a tenth by seed 0.
#[test]
fn the_built_in_documents_are_split_by_the_seed() {
    let load = |seed: u64| {
        let rules = CorpusRules { split: Split { seed, ..Split::default() }, ..CorpusRules::default() };
        CorpusSet::from_name("reuters-395").load(None, rules, None).unwrap()
    };
    let (corpus, other) = (load(0), load(1));
    assert_eq!((corpus.train.len(), corpus.train.tokens()), (359, 76_287));
    assert_eq!((corpus.test.len(), corpus.test.tokens()), (36, 7723));
    assert_eq!(corpus.train.len() + corpus.test.len(), 395);
    assert_ne!(all(&other.test), all(&corpus.test));
}

#[test]
fn the_named_sets_hold_what_their_papers_say() {
    let Some(folder) = std::env::var_os("GENGS_DATA") else {
        eprintln!("skipped: GENGS_DATA does not name the folder with the corpora");
        return;
    };
    for (name, words, train, test) in [
        ("20news", 1995, (11_258, 991_493), (7487, 629_312)),
        ("reuters21578", 2000, (7758, 546_540), (3005, 198_692)),
        ("rcv1-sample", 10_000, (1852, 183_300), (464, 45_505)),
    ] {
        let corpus = CorpusSet::from_name(name).load(Some(Path::new(&folder)), &TextRules::default(), None).unwrap();
        assert_eq!(corpus.vocabulary.len(), words, "{name}");
        assert_eq!((corpus.train.len(), corpus.train.tokens()), train, "{name}");
        assert_eq!((corpus.test.len(), corpus.test.tokens()), test, "{name}");
        Vocabulary::new(corpus.vocabulary, TextRules::default()).unwrap();
    }
}

#[test]
fn a_missing_set_says_what_is_missing() {
    for (name, file) in [("20news", "20news_prodlda_V1995.npz"), ("reuters21578", "reuters21578_V2000.npz")] {
        let set = CorpusSet::from_name(name);
        let error = set.load(None, &TextRules::default(), None).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(name), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let error = set.load(Some(folder.path()), &TextRules::default(), None).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains("looked for"), "{error}");
    }
    refused(Path::new("no-such-corpus"), &TextRules::default(), &["reuters-395"]);
}

const TWELVE: [&str; 12] = [
    "Apple, banana; apple!",
    "",
    "The banana's peel",
    "cherry cherry cherry",
    "apple",
    "don't",
    "banana banana",
    "cherry 1996",
    "apple-banana",
    "date apple date",
    "elder",
    "apple",
];

/// Of `apple banana cherry don't elder peel the`, by hand; `date` is in the test document alone.
fn expected() -> (Vec<&'static str>, Vec<Document>, Vec<Document>) {
    let vocabulary = vec!["apple", "banana", "cherry", "don't", "elder", "peel", "the"];
    let train = vec![
        vec![(0, 2), (1, 1)],
        vec![],
        vec![(1, 1), (5, 1), (6, 1)],
        vec![(2, 3)],
        vec![(0, 1)],
        vec![(3, 1)],
        vec![(1, 2)],
        vec![(2, 1)],
        vec![(0, 1), (1, 1)],
        vec![(4, 1)],
        vec![(0, 1)],
    ];
    (vocabulary, train, vec![vec![(0, 1)]])
}

#[track_caller]
fn check_twelve(corpus: &Corpus) {
    let (vocabulary, train, test) = expected();
    assert_eq!(corpus.vocabulary, vocabulary);
    assert_eq!(all(&corpus.train), train);
    assert_eq!(all(&corpus.test), test);
    assert_eq!((corpus.train.tokens(), corpus.test.tokens()), (18, 1));
}

#[test]
fn text_of_every_format_is_the_same_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines = TWELVE.join("\n");
    let json: Vec<String> = (0..)
        .zip(TWELVE)
        .map(|(number, text)| {
            serde_json::json!({"id": number, "text": text, "title": format!("Title {number}")}).to_string()
        })
        .collect();
    for (number, text) in TWELVE.iter().enumerate() {
        let (sub, end) = if number < 6 { ("a", "txt") } else { ("b/deeper", "txt.gz") };
        let content = if number < 6 { text.as_bytes().to_vec() } else { gzipped(text.as_bytes()) };
        write(folder, &format!("folder/{sub}/{number:02}.{end}"), content);
    }
    write(folder, "folder/other.md", "not a document");
    for (name, content) in [
        ("lines.txt", lines.clone().into_bytes()),
        ("end.txt", format!("{lines}\n").into_bytes()),
        ("windows.txt", format!("\u{feff}{}\r\n", TWELVE.join("\r\n")).into_bytes()),
        ("lines.txt.gz", gzipped(lines.as_bytes())),
        ("lines.jsonl", json.join("\n").into_bytes()),
        ("blank.jsonl", format!("\u{feff}{}\r\n\r\n", json.join("\r\n\r\n")).into_bytes()),
        ("unnamed.data", json.join("\n").into_bytes()),
        ("lines.jsonl.gz", gzipped(json.join("\n").as_bytes())),
    ] {
        let corpus = load(&write(folder, name, content), &all_words()).unwrap();
        check_twelve(&corpus);
        let title = if name.contains("txt") { "Apple, banana; apple!" } else { "Title 0" };
        assert_eq!(corpus.train.label(0).unwrap().as_deref(), Some(title), "{name}");
        let title = if name.contains("txt") { None } else { Some("Title 1") };
        assert_eq!(corpus.train.label(1).unwrap().as_deref(), title, "{name}");
        assert!(corpus.train.label(11).is_err());
    }
    check_twelve(&load(&folder.join("folder"), &all_words()).unwrap());
    let named = CorpusSet::from_name(&format!("text:{}", write(folder, "strange", &lines).display()));
    check_twelve(&named.load(None, tenth(&all_words()), None).unwrap());
    refused(&folder.join("strange"), &all_words(), &["as in text:/"]);
}

#[test]
fn counts_of_every_format_are_the_same_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (vocabulary, train, test) = expected();
    let mut documents = train.clone();
    documents.insert(9, test[0].clone());
    // Entries are in descending order, and one is in two parts.
    let line = |document: &Document, first: u32, apart: bool| {
        let mut items: Vec<String> =
            document.iter().rev().map(|(word, count)| format!("{}:{count}", word + first)).collect();
        if apart && items.last().is_some_and(|item| item == &format!("{first}:2")) {
            items.pop();
            items.extend([format!("{first}:1"), format!("{first}:1")]);
        }
        items
    };
    let svmlight = |first: u32| -> String {
        let line = |document| format!("-1 {} # a comment: 7:7\n", line(document, first, true).join(" "));
        documents.iter().map(line).collect()
    };
    let ldac: String = documents
        .iter()
        .map(|document| {
            let items = line(document, 0, true);
            format!("{} {}\n", items.len(), items.join(" "))
        })
        .collect();
    let entries: Vec<String> = (1..)
        .zip(&documents)
        .flat_map(|(number, document)| {
            document.iter().map(move |(word, count)| format!("{number} {} {count}\n", word + 1))
        })
        .collect();
    let uci = format!("12\n7\n{}\n{}", entries.len(), entries.concat());
    let words = vocabulary.join("\n");
    let titles: String = (0..12).map(|number| format!("{number} Title\n")).collect();
    for (name, content, words_name) in [
        ("one/a.svmlight", svmlight(1), "one/a.vocab"),
        ("zero/a.svm", svmlight(0), "zero/vocab.txt"),
        ("windows/a.libsvm", svmlight(1).replace('\n', "\r\n"), "windows/a.tokens"),
        ("unnamed-svmlight/a.dat", svmlight(1), "unnamed-svmlight/a.vocab"),
        ("ldac/a.ldac", ldac.clone(), "ldac/a.tokens"),
        ("unnamed-ldac/a.dat", ldac.clone(), "unnamed-ldac/vocab.txt"),
        ("uci/docword.a.txt", uci.clone(), "uci/vocab.a.txt"),
        ("unnamed-uci/a", format!("\u{feff}{uci}"), "unnamed-uci/a.vocab"),
    ] {
        let path = write(folder, name, &content);
        write(folder, words_name, &words);
        check_twelve(&load(&path, &TextRules::default()).unwrap());
        let packed = write(folder, &format!("{name}.gz"), gzipped(content.as_bytes()));
        fs::remove_file(&path).unwrap();
        check_twelve(&load(&packed, &TextRules::default()).unwrap());
        write(folder, &format!("{words_name}.gz"), gzipped(words.as_bytes()));
        fs::remove_file(folder.join(words_name)).unwrap();
        let stem = name.strip_suffix(".txt").unwrap_or(name);
        let stem = if name.contains("docword") {
            stem.into()
        } else {
            Path::new(stem).with_extension("").display().to_string()
        };
        write(folder, &format!("{stem}.titles"), &titles);
        let corpus = load(&packed, &TextRules::default()).unwrap();
        check_twelve(&corpus);
        assert_eq!(corpus.test.label(0).unwrap().as_deref(), Some("Title"), "{name}");
        write(folder, &format!("{stem}.titles"), format!("{titles}one more"));
        let error = load(&packed, &TextRules::default()).unwrap_err().to_string();
        assert!(error.contains(".titles") && error.contains("line 13"), "{error}");
    }
    let rows = |documents: &[Document]| {
        let mut ends = vec![0];
        ends.extend(documents.iter().scan(0, |end, document| {
            *end += document.len() as i32;
            Some(*end)
        }));
        let (words, counts): (Vec<u16>, Vec<u16>) =
            documents.iter().flatten().map(|&(word, count)| (word as u16, count as u16)).unzip();
        (ends, words, counts)
    };
    let (train_rows, test_rows) = (rows(&train), rows(&test));
    let arrays = [
        ("vocab", Numbers::U1(words.as_bytes())),
        ("train_ptr", Numbers::I4(&train_rows.0)),
        ("train_words", Numbers::U2(&train_rows.1)),
        ("train_counts", Numbers::U2(&train_rows.2)),
        ("test_ptr", Numbers::I4(&test_rows.0)),
        ("test_words", Numbers::U2(&test_rows.1)),
        ("test_counts", Numbers::U2(&test_rows.2)),
    ];
    for (name, compressed) in [("stored.npz", false), ("packed.npz", true), ("unnamed", true)] {
        let path = write(folder, name, archive(&arrays, compressed));
        check_twelve(&load(&path, &TextRules::default()).unwrap());
        check_twelve(&Corpus::read_npz(&path).unwrap());
        let set = CorpusSet::from_name(path.to_str().unwrap());
        let store = folder.join(format!("store-{name}"));
        check_twelve(&set.load(None, tenth(&TextRules::default()), Some(&store)).unwrap());
        // What is stored is not read again, and serves no other corpus.
        std::fs::rename(&path, folder.join("moved")).unwrap();
        check_twelve(&set.load(None, tenth(&TextRules::default()), Some(&store)).unwrap());
        let other = CorpusSet::from_name("reuters-395").load(None, tenth(&TextRules::default()), Some(&store));
        let message = other.unwrap_err().to_string();
        assert!(message.contains(&format!("holds other documents (corpus: {}", path.display())), "{message}");
        let rules = TextRules { min_letters: 4, ..TextRules::default() };
        let message = set.load(None, tenth(&rules), Some(&store)).unwrap_err().to_string();
        assert!(message.contains("(letters: 3, not letters: 4)"), "{message}");
    }
    // Without a vocabulary, words are called as their file calls them.
    for (name, content, called) in [
        ("bare/a.svmlight", svmlight(1), "1234567"),
        ("bare/b.svmlight", svmlight(0), "0123456"),
        ("bare/c.ldac", ldac, "0123456"),
        ("bare/docword.d.txt", uci, "1234567"),
    ] {
        let corpus = load(&write(folder, name, content), &TextRules::default()).unwrap();
        assert_eq!(corpus.vocabulary.concat(), called);
        assert_eq!((all(&corpus.train), all(&corpus.test)), (train.clone(), test.clone()), "{name}");
        assert_eq!(corpus.train.label(0).unwrap(), None);
    }
}

#[test]
fn documents_on_disk_equal_documents_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // 4,000 documents of 60 words: several blocks.
    let text: String = (0..4000u32)
        .map(|number| {
            let words: Vec<String> = (0..60)
                .map(|place| {
                    let word = (number * 7919 + place * 104_729) % 5000;
                    [word / 676 % 26, word / 26 % 26, word % 26]
                        .map(|letter| (b'a' + letter as u8) as char)
                        .iter()
                        .collect()
                })
                .collect();
            words.join(" ") + "\n"
        })
        .collect();
    let rules = TextRules { min_documents: 2, ..all_words() };
    let sources = [write(folder, "a.txt", text), write(folder, "a.svmlight", "1 1:2 70000:3\n0\n1 5:1\n")];
    let names = sources.map(|path| path.display().to_string()).into_iter().chain(["reuters-395".to_string()]);
    for (number, name) in names.enumerate() {
        let set = CorpusSet::from_name(&name);
        let memory = set.load(None, &rules, None).unwrap();
        let place = folder.join(format!("store-{number}"));
        let disk = set.load(None, &rules, Some(&place)).unwrap();
        let again = CorpusSet::from_name(place.to_str().unwrap()).load(None, &rules, None).unwrap();
        for mut stored in [disk, again] {
            assert!(stored.train.push(vec![]).unwrap_err().to_string().contains("on disk"));
            assert_eq!(stored.vocabulary, memory.vocabulary);
            for (stored, memory) in [(&stored.train, &memory.train), (&stored.test, &memory.test)] {
                assert_eq!((stored.len(), stored.tokens()), (memory.len(), memory.tokens()));
                assert_eq!(stored.largest_word(), memory.largest_word());
                for number in 0..memory.len() {
                    assert_eq!(stored.get(number).unwrap(), memory.get(number).unwrap());
                    assert_eq!(stored.label(number).unwrap(), memory.label(number).unwrap());
                }
                let mut order = stored.order(1, 2);
                order.sort_unstable();
                assert_eq!(order, (0..memory.len() as i64).collect::<Vec<_>>());
                assert!(stored.get(memory.len()).is_err() && stored.label(memory.len()).is_err());
            }
        }
        // A store replaces the one before it.
        assert_eq!(set.load(None, &rules, Some(&place)).unwrap().train.len(), memory.train.len());
    }
}

#[test]
fn documents_in_memory_are_visited_as_images_are() {
    let mut documents = Documents::new();
    for _ in 0..1000 {
        documents.push(vec![]).unwrap();
    }
    assert_eq!(documents.order(3, 1), Vec::<i64>::try_from(epoch_order(1000, 3, 1)).unwrap());
    assert_eq!(documents.order(3, 1)[..5], [88, 394, 326, 379, 792]);
}

#[test]
fn documents_are_tidied() {
    let mut documents = Documents::new();
    documents.push(vec![(3, 1), (1, 0), (0, 2), (3, 4)]).unwrap();
    documents.push_labelled(vec![], Some("empty")).unwrap();
    documents.push(vec![(9, 0)]).unwrap();
    assert_eq!(all(&documents), [vec![(0, 2), (3, 5)], vec![], vec![]]);
    assert_eq!((documents.tokens(), documents.largest_word(), documents.len()), (7, Some(3), 3));
    let labels: Vec<Option<String>> = (0..3).map(|number| documents.label(number).unwrap()).collect();
    assert_eq!(labels, [None, Some("empty".to_string()), None]);
    let error = documents.push(vec![(2, u32::MAX), (2, 1)]).unwrap_err().to_string();
    assert!(error.contains("word 2") && documents.len() == 3, "{error}");
    assert!(documents.get(3).unwrap_err().to_string().contains("below 3"));
}

#[test]
fn vocabularies_are_pruned_by_training_documents() {
    let folder = tempfile::tempdir().unwrap();
    // Ten documents, the last for testing. Training documents with each word: aa 9, bb 5, cc 4, dd 2, ee 1; ff is in the test document alone, twice.
    let text =
        ["aa bb cc dd ee", "aa bb cc dd", "aa bb cc", "aa bb cc", "aa bb", "aa aa", "aa", "aa", "aa", "ff ff bb ee"];
    let path = write(folder.path(), "a.txt", text.join("\n"));
    let words = |rules: TextRules| load(&path, &rules).unwrap().vocabulary.join(" ");
    assert_eq!(words(all_words()), "aa bb cc dd ee");
    assert_eq!(words(TextRules { min_documents: 2, ..all_words() }), "aa bb cc dd");
    assert_eq!(words(TextRules { max_share: 5.0 / 9.0, ..all_words() }), "bb cc dd ee");
    assert_eq!(words(TextRules { max_share: 0.5, min_documents: 2, ..all_words() }), "cc dd");
    assert_eq!(words(TextRules { max_words: 2, ..all_words() }), "aa bb");
    assert_eq!(words(TextRules { max_words: 2, max_share: 0.9, ..all_words() }), "bb cc");
    let none = TextRules { min_documents: 10, ..all_words() };
    refused(&path, &none, &["no word is left", "22 words in 9 training documents", "22 are in fewer than 10"]);
    let Err(Error::NoWordLeft { relaxed, .. }) = load(&path, &none) else { panic!("a vocabulary without a word") };
    assert_eq!(relaxed.first(), Some(&("min_documents", "1")));
    // A tie goes to the alphabetically first.
    let path = write(folder.path(), "tie.txt", "zz yy xx");
    assert_eq!(load(&path, &TextRules { max_words: 2, ..all_words() }).unwrap().vocabulary.join(" "), "xx yy");
}

#[test]
fn new_text_is_encoded_as_the_corpus_was() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["apple", "banana", "don't"].map(String::from).to_vec();
    let vocabulary = Vocabulary::new(words, TextRules::default()).unwrap();
    let path = folder.path().join("vocabulary.txt");
    vocabulary.write(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "apple\nbanana\ndon't\n");
    let read = Vocabulary::read(&path, TextRules::default()).unwrap();
    assert_eq!(read.words(), vocabulary.words());
    for vocabulary in [vocabulary, read] {
        let encoded = vocabulary.encode("Banana! An apple's BANANA; the cherry, a cherry pie, don’t, ox.");
        // Unknown: cherry twice, and pie; `an`, `the`, `a` and `ox` are no words by the rules.
        assert_eq!((encoded.document, encoded.unknown), (vec![(0, 1), (1, 2), (2, 1)], 3));
        assert_eq!(vocabulary.number("banana"), Some(1));
        let nothing = vocabulary.encode("");
        assert_eq!((nothing.document, nothing.unknown), (vec![], 0));
    }
    for (words, part) in
        [(vec![], "at least 1"), (vec!["a", "b", "a"], "word 2"), (vec!["a", ""], "word 1"), (vec!["a\nb"], "word 0")]
    {
        let words = words.into_iter().map(String::from).collect();
        let error = Vocabulary::new(words, TextRules::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = Vocabulary::read(&write(folder.path(), "twice.txt", "a\nb\r\na"), TextRules::default()).unwrap_err();
    assert!(error.to_string().contains("twice.txt") && error.to_string().contains("word 2"), "{error}");
}

#[test]
fn rules_go_through_configuration_files() {
    let rules = TextRules { min_letters: 2, max_share: 0.25, ..TextRules::default() };
    assert_eq!(toml::from_str::<TextRules>(&toml::to_string(&rules).unwrap()).unwrap(), rules);
    assert_eq!(toml::from_str::<TextRules>("").unwrap(), TextRules::default());
    assert!(toml::from_str::<TextRules>("stop_word = true").unwrap_err().to_string().contains("stop_word"));
}

#[test]
fn a_word_of_a_vocabulary_is_found_again() {
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let check = |(text, lower_case): (String, bool)| {
        let rules = TextRules { lower_case, ..all_words() };
        for word in rules.words(&text) {
            prop_assert_eq!(rules.words(&word).collect::<Vec<_>>(), [word.clone()]);
        }
        Ok(())
    };
    runner.run(&("(\\PC|[a-zA-Z'’ \u{301}İΣς]){0,40}", any::<bool>()), check).unwrap();
}

/// The kernel's lock is this process's own, by another descriptor.
#[test]
fn one_process_at_a_time_writes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    fs::create_dir(&store).unwrap();
    let lock = fs::File::create(store.join("documents.lock")).unwrap();
    fs::write(store.join("documents.lock"), "4242\n").unwrap();
    lock.lock().unwrap();
    let load = || CorpusSet::Reuters395.load(None, &TextRules::default(), Some(&store));
    let error = load().unwrap_err();
    assert!(matches!(error, gengs::Error::StoreInUse { .. }), "{error}");
    assert!(error.to_string().ends_with("process 4242 writes this store; wait until it ends, or stop it"), "{error}");
    assert_eq!(fs::read_dir(&store).unwrap().count(), 1);
    drop(lock);
    assert!(load().unwrap().train.are_on_disk());
    // Whole, it is read by many.
    let lock = fs::File::open(store.join("documents.lock")).unwrap();
    lock.lock().unwrap();
    assert!(load().unwrap().train.are_on_disk());
}
