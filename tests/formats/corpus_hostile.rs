//! Corpora that are damaged, lie, or are just odd: one clear sentence, or what they say.

use flate2::{Compression, write::GzEncoder};
use gengs::data::{Corpus, CorpusRules, CorpusSet, Split, TextRules};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn load(path: &Path) -> gengs::Result<Corpus> {
    let rules =
        TextRules { min_letters: 1, stop_words: false, min_documents: 1, max_share: 1.0, ..TextRules::default() };
    let rules = CorpusRules { split: Split::every_tenth(), ..(&rules).into() };
    CorpusSet::from_name(path.to_str().unwrap()).load(None, rules, None)
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// Fails with an error of one line that names the file and has this part.
#[track_caller]
fn refused(path: &Path, part: &str) {
    let error = load(path).expect_err(&format!("{} was accepted", path.display())).to_string();
    assert!(error.contains(part), "{error:?} does not say {part:?}");
    assert!(error.contains(path.to_str().unwrap()), "{error:?} does not name {}", path.display());
    assert!(!error.contains('\n') && error.chars().count() < 600, "{error}");
}

#[test]
fn damaged_and_lying_files_are_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, part) in [
        ("empty.txt", "", "holds no document"),
        ("empty.jsonl", "", "holds no document"),
        ("empty.svmlight", "", "holds no document"),
        ("empty.ldac", "\n\n", "holds no document"),
        ("docword.empty.txt", "", "line 1 is missing"),
        ("wordless.txt", "1\n2\n3", "no word is left"),
        ("text.jsonl", "{\"text\": \"a\"}\nplain", "line 2"),
        ("field.jsonl", "{\"txt\": \"a\"}", "has no field 'text', but 'txt'; say which holds the text"),
        (
            "in.jsonl",
            "{\"id\": \"a long name\", \"a\": {\"b\": {\"txt\": \"words of a text\"}}}",
            "but 'a.b.txt', 'id'",
        ),
        ("none.jsonl", "{\"txt\": 7, \"a\": {\"b\": [\"c\"]}}", "is an object without a field of text"),
        ("kind.jsonl", "{\"text\": 7}", "line 1"),
        ("object.jsonl", "{\"text\": {\"a\": \"b\"}}", "has an object in the field 'text', but 'text.a'; say which"),
        ("list.jsonl", "[\"a\"]", "line 1"),
        ("twice.jsonl", "{\"text\": \"a\", \"text\": \"b\"}", "duplicate field"),
        ("cut.jsonl", "{\"text\": \"a\"}\n{\"text\": \"", "line 2"),
        ("negative.svmlight", "1 1:2\n1 1:-2", "line 2 has a count of \"-2\""),
        ("decimal.svmlight", "1 1:0.5", "line 1 has a count of \"0.5\""),
        ("nan.svmlight", "1 1:nan", "count of \"nan\""),
        ("infinite.svmlight", "1 1:1e999", "count of \"1e999\""),
        ("large.svmlight", "1 1:4294967296", "count of \"4294967296\""),
        ("sum.svmlight", "1 1:4294967295 1:1", "line 1"),
        ("index.svmlight", "1 99999999999:1", "word 99999999999"),
        ("huge.svmlight", "1 4294967295:1", "without a vocabulary the largest is 1048575"),
        ("overflow.svmlight", "1 99999999999999999999999:1", "whole number"),
        ("minus.svmlight", "1 -1:1", "\"-1\" as word"),
        ("colon.svmlight", "1 1:2 3", "word:count"),
        ("colons.svmlight", "1 1:2:3", "line 1"),
        ("text.svmlight", "a text", "starts with \"a\""),
        ("wordless.svmlight", "1\n0\n", "holds no word"),
        ("few.ldac", "2 0:1\n", "line 1 announces 2 words, but has 1"),
        ("many.ldac", "1 0:1 1:1\n", "announces 1 words, but has 2"),
        ("lie.ldac", "18446744073709551615 0:1", "announces 18446744073709551615"),
        ("first.ldac", "0:1 1:1", "\"0:1\" as number of words"),
        ("docword.short.txt", "2\n3\n", "line 3 is missing"),
        ("docword.words.txt", "2\n3\n1\n1 4 1", "line 4 has word 4, but"),
        ("docword.documents.txt", "2\n3\n1\n3 1 1", "line 4 has document 3, but the largest is 2"),
        ("docword.entries.txt", "2\n3\n2\n1 1 1", "announces 2 entries in line 3, but has 1"),
        ("docword.more.txt", "2\n3\n1\n1 1 1\n2 1 1", "line 5 is entry 2, but line 3 announces 1"),
        ("docword.zero.txt", "2\n3\n1\n1 0 1", "counted from 1"),
        ("docword.back.txt", "2\n3\n2\n2 1 1\n1 1 1", "line 5 goes back from document 2 to 1"),
        ("docword.columns.txt", "2\n3\n1\n1 1", "line 4 must hold three numbers"),
        ("docword.negative.txt", "2\n3\n1\n1 1 -1", "line 4 has a count of \"-1\""),
        ("docword.sparse.txt", "4000000000\n3\n1\n4000000000 1 1", "only 1 entries"),
        ("docword.many.txt", "4000000000\n3\n1\n1 1 1", "only 1 entries"),
        ("docword.wide.txt", "1\n4000000000\n1\n1 1 1", "without a vocabulary the most is 1048576"),
        ("docword.none.txt", "0\n3\n0\n", "holds no document"),
        ("unknown", "neither this\nnor that", "in no format that is recognised"),
        ("zero", "", "in no format that is recognised"),
        ("broken.npz", "PK\u{3}\u{4}", "not a readable .npz archive"),
        ("empty.npz", "", "not a readable .npz archive"),
    ] {
        refused(&write(folder.path(), name, content), part);
    }
    // What a vocabulary says is believed, and its lines are checked.
    for (name, content, words, part) in [
        ("v/a.ldac", "1 2:1", "a\nb", "line 1 has word 2, but the largest is 1"),
        ("v/b.svmlight", "1 3:1", "a\nb", "line 1 has word 3, but the largest is 2"),
        ("v/c.svmlight", "1 0:1 2:1", "a\nb", "has 3 words, but"),
        ("v/d.ldac", "0", "", "a vocabulary without a word"),
    ] {
        let path = write(folder.path(), name, content);
        write(folder.path(), Path::new(name).with_extension("vocab").to_str().unwrap(), words);
        refused(&path, part);
    }
    write(folder.path(), "w/vocab.a.txt", "a\nb\n");
    refused(
        &write(folder.path(), "w/docword.a.txt", "1\n3\n1\n1 1 1"),
        "announces 3 words in line 2, but its vocabulary has 2",
    );
    let path = write(folder.path(), "x/a.ldac", "1 0:1");
    write(folder.path(), "x/a.vocab", "a\n\nb");
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("a.vocab") && error.contains("line 2 is empty"), "{error}");
    fs::create_dir(folder.path().join("nothing")).unwrap();
    write(folder.path(), "nothing/deeper/readme.md", "no document");
    refused(&folder.path().join("nothing"), "holds no .txt file");
}

#[test]
fn odd_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = load(&write(folder, "one.txt", "a single document")).unwrap();
    assert_eq!((one.train.len(), one.test.len(), one.vocabulary.len()), (1, 0, 3));
    let whole =
        load(&write(folder, "whole.svmlight", "1.5,2 1:3.0 2:1e2\n# a comment\n\n1:1\nnan qid:3 2:0\n")).unwrap();
    let documents: Vec<_> = whole.train.iter().map(Result::unwrap).collect();
    assert_eq!(documents, [vec![(0, 3), (1, 100)], vec![(0, 1)], vec![]]);
    let tail = load(&write(folder, "docword.tail.txt", "40\n2\n2\n3 1 1\n3 2 5\n")).unwrap();
    assert_eq!((tail.train.len(), tail.test.len(), tail.train.tokens()), (36, 4, 6));
    assert_eq!(tail.train.get(2).unwrap(), [(0, 1), (1, 5)]);
}

/// Lines of so many words.
fn long_lines(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let corpus = load(&write(folder, "long.txt", "word ".repeat(count) + "\nx")).unwrap();
    assert_eq!(corpus.train.get(0).unwrap(), [(0, count as u32)]);
    assert_eq!(corpus.train.label(0).unwrap().unwrap().chars().count(), 80);
    let unbroken = "w".repeat(5 * count) + "\nx";
    let corpus = load(&write(folder, "unbroken.txt", &unbroken)).unwrap();
    assert_eq!((corpus.vocabulary, corpus.train.get(0).unwrap()), (vec!["x".to_string()], vec![]));
    for name in ["unbroken.svmlight", "unbroken.ldac", "docword.unbroken.txt", "unbroken.jsonl"] {
        refused(&write(folder, name, &unbroken), "line 1");
    }
}

#[test]
fn a_line_of_a_megabyte_is_a_line() {
    long_lines(200_000);
}

#[test]
#[ignore = "takes a minute without optimisation"]
fn a_line_of_50_megabytes_is_a_line() {
    long_lines(10_000_000);
}

#[test]
fn what_is_not_utf8_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["a.txt", "a.jsonl", "a.svmlight", "a.ldac", "docword.a.txt"] {
        let path = write(folder, name, b"\xffcaf\xe9\n");
        refused(&path, "line 1 is not UTF-8");
    }
    refused(&write(folder, "b.txt", b"good\n\ncaf\xe9 bad\n"), "line 3 is not UTF-8; convert the file");
    write(folder, "folder/a.txt", "good");
    let path = write(folder, "folder/b.txt", b"good\n\ncaf\xe9 bad\n");
    let error = load(&folder.join("folder")).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("line 3"), "{error}");
}

#[test]
fn a_cut_or_damaged_gzip_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..5000).map(|number| format!("word{} other\n", "x".repeat(number % 13))).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(load(&write(folder.path(), "a.txt.gz", &packed)).unwrap().train.len(), 4500);
    // Padded, and of two parts, it is whole; what else follows is named.
    assert_eq!(load(&write(folder.path(), "a.txt.gz", [&packed[..], &[0; 700]].concat())).unwrap().train.len(), 4500);
    assert_eq!(load(&write(folder.path(), "a.txt.gz", [&packed[..], &packed].concat())).unwrap().train.len(), 9000);
    let followed = write(folder.path(), "a.txt.gz", [&packed[..], b"junk"].concat());
    refused(&followed, "unpack the file first with gzip -dc, which leaves out what does not belong to it");
    for length in (3..packed.len()).step_by(7) {
        refused(&write(folder.path(), "cut.txt.gz", &packed[..length]), "cannot be read");
    }
    let mut wrong = packed.clone();
    let place = wrong.len() - 6;
    wrong[place] ^= 1;
    refused(&write(folder.path(), "sum.txt.gz", &wrong), "cannot be read");
    for name in ["a.svmlight.gz", "docword.a.txt.gz", "a.ldac.gz", "a.jsonl.gz"] {
        refused(&write(folder.path(), name, &packed[..20]), "cannot be read");
    }
}

#[test]
fn what_is_taken_for_granted_of_counts_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let notes = |path: &Path| load(path).unwrap().report().unwrap().notes.join("; ");
    let one = notes(&write(folder, "one/a.svmlight", "1 1:2 3:1\n"));
    assert!(one.contains("counted from 1, since no word 0 occurs") && one.contains("called by their numbers"), "{one}");
    write(folder, "two/a.vocab", "a\nb\nc\nd\n");
    let two = notes(&write(folder, "two/a.svmlight", "1 1:2 3:1\n"));
    assert!(two.contains("every word has a wrong name") && two.contains("the last 1 are in no document"), "{two}");
    write(folder, "three/a.vocab", "a\nb\nc\nd\n");
    assert_eq!(
        notes(&write(folder, "three/a.svmlight", "1 0:2 3:1\n")),
        "words are counted from 0, since a word 0 occurs"
    );
}
