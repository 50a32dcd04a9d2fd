//! Files of every format, damaged at random: read or refused in one sentence, without a panic, and within ten times their size and 64 MiB.

use super::memory::peak;
use crate::common::npz::{Numbers, archive};
use flate2::{Compression, write::GzEncoder};
use gengs::data::{Corpus, CorpusRules, CorpusSet, Format, Split, TextRules};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Nothing is held out of files this small.
fn rules() -> CorpusRules {
    let split = Split { test_share: 0.0, ..Split::default() };
    CorpusRules { text: text_rules(), split, ..CorpusRules::default() }
}

fn text_rules() -> TextRules {
    TextRules { min_letters: 1, min_documents: 1, max_share: 1.0, ..TextRules::default() }
}

/// What turns readers around, as text.
const TOKENS: [&str; 24] = [
    "-1",
    "0",
    "1",
    "255",
    "65536",
    "1048575",
    "1048577",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999",
    "1e999",
    "nan",
    "-0",
    "1.5",
    "+7",
    ":",
    "\n",
    "\r\n",
    " ",
    "\u{feff}",
    "\0",
    "{\"text\":\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// One to four changes: flipped bits, other bytes, cuts, repetitions, numbers in place of others.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        let length = random.random_range(1..=16).min(bytes.len() - at);
        match random.random_range(0..8) {
            0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.next_u32() as u8,
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + length)),
            5 => {
                let piece = bytes[at..at + length].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            6 => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                // In place of a number, where there is one.
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(at..at + digits, token.bytes());
            }
            _ => {
                let number = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];
                let number = number[random.random_range(0..number.len())].to_le_bytes();
                let size = [1, 2, 4, 8][random.random_range(0..4)].min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&number[..size]);
            }
        }
    }
}

/// Mutates these files so often, and says how many were read all the same.
fn check(format: Format, seeds: &[Vec<u8>], words: Option<&[u8]>, count: u32) {
    let name = Path::new("FILE");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut read, mut most) = (0, 0);
    for seed in seeds {
        Corpus::parse(format, name, seed, words, rules()).unwrap();
    }
    for number in 0..count {
        let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
        mutate(&mut bytes, &mut random);
        let words = words.filter(|_| random.random());
        let call = || Corpus::parse(format, name, &bytes, words, rules());
        let (result, peak) = peak(|| catch_unwind(AssertUnwindSafe(call)));
        let shown = || format!("mutation {number}: {}", bytes.escape_ascii());
        let Ok(result) = result else { panic!("a panic in {}", shown()) };
        assert!(peak <= 10 * bytes.len() as i64 + (64 << 20), "{peak} bytes for {}", shown());
        most = most.max(peak);
        match result {
            Ok(corpus) => {
                read += 1;
                for document in corpus.train.iter().chain(corpus.test.iter()) {
                    let document = document.unwrap();
                    assert!(document.windows(2).all(|pair| pair[0].0 < pair[1].0), "{}", shown());
                    let is_good = |&(word, count): &(u32, u32)| (word as usize) < corpus.vocabulary.len() && count > 0;
                    assert!(document.iter().all(is_good), "{}", shown());
                }
            }
            Err(error) => {
                let error = error.to_string();
                let is_sentence = !error.contains('\n') && error.starts_with("FILE: ") && error.chars().count() < 600;
                assert!(is_sentence, "{error:?} of {}", shown());
            }
        }
    }
    println!("{}: {count} mutations, {read} read, at most {most} bytes", format.name());
}

fn with_gzipped(texts: &[&str]) -> Vec<Vec<u8>> {
    let gzip = |text: &&str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    // Plain ones twice: a damaged gzip file is mostly refused for its sum.
    let plain = || texts.iter().map(|text| text.as_bytes().to_vec());
    plain().chain(plain()).chain(texts.iter().map(gzip)).collect()
}

const WORDS: &[u8] = b"apple\nbanana\ncherry\ndate\nelder\nfig\ngrape\n";

fn svmlight(count: u32) {
    let seeds = with_gzipped(&[
        "1 1:2 3:1 7:12\n-1 2:1\n0\n+1 qid:3 1:1.0 5:3 # a comment\n1,2 4:1\r\n3:1 6:2\n",
        "1 0:1 6:4\n2 3:1 3:1 2:1",
    ]);
    check(Format::SvmLight, &seeds, Some(WORDS), count);
}

fn uci(count: u32) {
    let seeds = with_gzipped(&["4\n7\n6\n1 1 2\n1 3 1\n2 7 12\n4 2 1\n4 3 1\n4 4 1\n", "12\n7\n2\n3 1 5\n11 7 1\n"]);
    check(Format::Uci, &seeds, Some(WORDS), count);
}

fn lda_c(count: u32) {
    let seeds = with_gzipped(&["3 0:2 2:1 6:12\n1 1:1\n0\n2 0:1 4:3\n1 3:1\r\n2 2:1 5:2\n"]);
    check(Format::LdaC, &seeds, Some(WORDS), count);
}

fn json_lines(count: u32) {
    let seeds = with_gzipped(&[
        "{\"text\": \"Apple, banana; don't\", \"title\": \"One\"}\n{\"id\": [1, {\"a\": null}], \"text\": \"caf\\u00e9 \\\"x\\\" date\"}\n\n{\"text\": \"\"}\n",
    ]);
    check(Format::JsonLines, &seeds, None, count);
}

fn text(count: u32) {
    let seeds = with_gzipped(&["Apple, banana; apple!\n\nThe banana's peel, O’Brien\r\ncafé ΣΟΦΟΣ\nlast"]);
    check(Format::Text, &seeds, None, count);
}

fn tables(count: u32) {
    let seeds = with_gzipped(&[
        "id,title,text\n1,One,\"Apple, banana;\nelder\"\n2,,\"a \"\"quoted\"\" fig\"\r\n3,Three,date\n",
        "text;label\napple banana;1\n\"cherry; date\";0\n",
    ]);
    check(Format::Csv, &seeds, None, count);
    check(Format::Tsv, &with_gzipped(&["id\ttext\n1\tapple banana\n2\t\"cherry\tdate\"\n"]), None, count);
}

fn archives(count: u32) {
    let arrays = [
        ("vocab", Numbers::U1(b"apple\nbanana\nfigs")),
        ("train_ptr", Numbers::I4(&[0, 2, 2, 3])),
        ("train_words", Numbers::U2(&[0, 2, 1])),
        ("train_counts", Numbers::U2(&[3, 1, 7])),
        ("test_ptr", Numbers::I4(&[0, 1])),
        ("test_words", Numbers::U2(&[2])),
        ("test_counts", Numbers::U2(&[1])),
    ];
    let seeds = [false, true].map(|compressed| archive(&arrays, compressed));
    check(Format::Npz, &seeds, None, count);
}

const FEW: u32 = 3000;
const MILLION: u32 = 1_000_000;

#[test]
fn damaged_svmlight_is_read_or_refused() {
    svmlight(FEW);
}

#[test]
fn damaged_uci_bags_are_read_or_refused() {
    uci(FEW);
}

#[test]
fn damaged_lda_c_is_read_or_refused() {
    lda_c(FEW);
}

#[test]
fn damaged_json_lines_are_read_or_refused() {
    json_lines(FEW);
}

#[test]
fn damaged_text_is_read_or_refused() {
    text(FEW);
}

#[test]
fn damaged_tables_are_read_or_refused() {
    tables(FEW);
}

#[test]
fn damaged_archives_are_read_or_refused() {
    archives(FEW);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_svmlight_files() {
    svmlight(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_uci_bags() {
    uci(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_lda_c_files() {
    lda_c(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_json_lines() {
    json_lines(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_texts() {
    text(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_tables() {
    tables(MILLION);
}

#[test]
#[ignore = "minutes"]
fn a_million_damaged_archives() {
    archives(MILLION);
}

#[test]
fn a_header_that_lies_allocates_nothing() {
    let name = Path::new("FILE");
    for (format, bytes) in [
        (Format::Uci, "4294967294\n4294967294\n4294967294\n4294967294 4294967294 4294967295\n"),
        (Format::LdaC, "18446744073709551615 1048575:4294967295\n"),
        (Format::SvmLight, "1 1048575:4294967295\n"),
    ] {
        let (_, peak) = peak(|| Corpus::parse(format, name, bytes.as_bytes(), None, rules()));
        assert!(peak < 64 << 20, "{}: {peak} bytes", format.name());
    }
}

#[test]
fn the_memory_of_reading_into_a_store_does_not_grow_with_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    let line = "some ordinary words that stand in every document of this corpus, and a few rare ones\n";
    let mut peaks = Vec::new();
    for lines in [20_000, 80_000] {
        let path = folder.path().join("corpus.txt");
        std::fs::write(&path, line.repeat(lines)).unwrap();
        let set = CorpusSet::from_name(path.to_str().unwrap());
        let store = folder.path().join("store");
        if store.exists() {
            let message = set.load(None, rules(), Some(&store)).unwrap_err().to_string();
            assert!(message.contains("other documents (bytes: 1700000, not bytes: 6800000)"), "{message}");
            std::fs::remove_dir_all(&store).unwrap();
        }
        let (corpus, peak) = peak(|| set.load(None, rules(), Some(&store)).unwrap());
        assert_eq!(corpus.train.len() + corpus.test.len(), lines);
        peaks.push(peak);
    }
    // The index of blocks grows, by 28 bytes for 128 KiB.
    assert!(peaks[1] < peaks[0] + 10_000 && peaks[1] < 1 << 20, "{peaks:?}");
}
