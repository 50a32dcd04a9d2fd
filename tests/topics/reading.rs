//! Sources as users have them: tables, odd encodings, standard input, lines that come and go; and advice that works when it is followed.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use gengs::data::{Columns, Corpus, CorpusRules, CorpusSet, Rule, Split, TextRules};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const THEMES: [&str; 4] = [
    "wave ship anchor voyage ocean captain sailor harbour",
    "bank loan share bond market credit interest money",
    "nurse doctor hospital virus patient clinic disease medicine",
    "league football match coach player goal stadium team",
];

/// Texts of twelve words of one theme, all different.
fn texts(count: usize) -> Vec<String> {
    let word = |theme: usize, number: usize, place: usize| {
        let words: Vec<&str> = THEMES[theme].split(' ').collect();
        words[(number * 7 + place * (1 + number % 5) + number / 40) % words.len()]
    };
    (0..count)
        .map(|number| {
            let words: Vec<&str> = (0..12 + number % 9).map(|place| word(number % 4, number / 4, place)).collect();
            words.join(" ")
        })
        .collect()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn load(path: &Path, columns: Columns) -> gengs::Result<Corpus> {
    let rules = CorpusRules { columns, ..CorpusRules::default() };
    CorpusSet::from_name(path.to_str().unwrap()).load(None, rules, None)
}

fn columns(text: Option<&str>, id: Option<&str>) -> Columns {
    Columns { text: text.map(String::from), id: id.map(String::from), ..Columns::default() }
}

fn topics(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-topics").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

/// Trains for an epoch, with these arguments as a user types them.
fn train(corpus: &str, out: &Path, more: &[&str]) -> std::process::Output {
    let small = ["train", "--epochs", "1", "--topics", "4", "--hidden", "8", "--threads", "1", "--device", "cpu"];
    topics(&small).args(["--corpus", corpus, "--out", out.to_str().unwrap()]).args(more).output().unwrap()
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn infer(run: &Path, more: &[&str], input: &str) -> (Vec<Value>, String) {
    let mut command = topics(&["infer", "--threads", "1", "--run", run.to_str().unwrap()]);
    let output = command.args(more).write_stdin(input).output().unwrap();
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), stderr(&output))
}

fn documents(corpus: &Corpus) -> (Vec<String>, Vec<Vec<(u32, u32)>>) {
    let parts = [&corpus.train, &corpus.test];
    let documents = parts.iter().flat_map(|part| part.iter()).collect::<gengs::Result<_>>().unwrap();
    (corpus.vocabulary.clone(), documents)
}

#[test]
fn tables_are_read_whatever_their_names_and_separators() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let texts = texts(80);
    let expected = documents(&load(&write(folder, "plain.txt", texts.join("\n")), Columns::default()).unwrap());
    let quoted = |separator: char, end: &str, header: &str| {
        let row = |(number, text): (usize, &String)| {
            // A line break and the separator within a field, which are no words.
            let text = text.replacen(' ', &format!("{separator}\n\"\" "), 1);
            format!("{number}{separator}2020-01-01{separator}\"{text}\"{separator}0{end}")
        };
        let header = header.replace(',', &separator.to_string());
        format!("{header}{end}{}", texts.iter().enumerate().map(row).collect::<String>())
    };
    let header = "id,date,text,label";
    for (name, content, named) in [
        ("a.csv", quoted(',', "\n", header), columns(None, None)),
        ("b.csv", format!("\u{feff}{}", quoted(';', "\r\n", header)), columns(None, Some("id"))),
        ("c.tsv", quoted('\t', "\n", header), columns(Some("3"), None)),
        ("d.txt", quoted(',', "\n", header), columns(None, None)),
        ("e.data", quoted('|', "\r\n", header), columns(None, None)),
        ("f.csv", quoted(',', "\n", "id,date,words,label"), columns(Some("words"), None)),
        ("ü ö/g h.csv", quoted(',', "\n", "id,date,Text,label"), columns(None, Some("1"))),
    ] {
        let corpus = load(&write(folder, name, &content), named.clone()).unwrap();
        let (vocabulary, mut found) = documents(&corpus);
        assert_eq!(vocabulary, expected.0, "{name}");
        let mut wanted = expected.1.clone();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{name}");
        if named.id.is_some() {
            let labels: BTreeSet<String> =
                (0..corpus.train.len()).filter_map(|at| corpus.train.label(at).unwrap()).collect();
            assert!(labels.iter().all(|label| label.parse::<usize>().is_ok()), "{labels:?}");
        }
    }
    // Plain text with commas is a text a line.
    let commas: String = texts.iter().map(|text| text.replace(' ', ", ") + ".\n").collect();
    assert_eq!(documents(&load(&write(folder, "commas.txt", commas), Columns::default()).unwrap()).0, expected.0);
    for (name, content, part) in [
        ("short.csv", "id,text\n1,a b\n2\n", "line 3 has 1 fields, but the first has 2"),
        ("names.csv", "a,b c\n1,some words\n", "has the columns 'a', 'b c'; say which holds the text"),
        (
            "none.csv",
            "1,some words\n2,others\n",
            "its first line is no header ('1', 'some words'), unless header is 'yes'; say which holds the text",
        ),
    ] {
        let message = load(&write(folder, name, content), Columns::default()).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains(name), "{message}");
    }
    let latin = load(&write(folder, "latin.csv", b"id,text\n1,good\n2,caf\xe9\n"), Columns::default()).unwrap_err();
    assert!(latin.to_string().contains("line 3 is not UTF-8"), "{latin}");
    let lines = load(&folder.join("plain.txt"), columns(Some("text"), None)).unwrap_err().to_string();
    assert!(lines.contains("one text per line, which has no columns") && lines.contains("csv:"), "{lines}");
}

#[test]
fn what_other_programs_write_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let texts = texts(80);
    let expected = documents(&load(&write(folder, "plain.txt", texts.join("\n")), Columns::default()).unwrap());
    let utf16 = |to: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{}\r\n", texts.join("\r\n")).encode_utf16().flat_map(to).collect()
    };
    let objects = |title: &dyn Fn(usize) -> Value, field: &str| -> String {
        let line = |(number, text): (usize, &String)| {
            serde_json::json!({"id": number, "title": title(number), field: text}).to_string() + "\n"
        };
        texts.iter().enumerate().map(line).collect()
    };
    for (name, content, columns) in [
        ("little.txt", utf16(u16::to_le_bytes), columns(None, None)),
        ("big.txt", utf16(u16::to_be_bytes), columns(None, None)),
        ("mac.txt", texts.join("\r").into_bytes(), columns(None, None)),
        ("number.jsonl", objects(&|number| number.into(), "text").into_bytes(), columns(None, None)),
        ("null.jsonl", objects(&|_| Value::Null, "text").into_bytes(), columns(None, None)),
        ("named.txt", objects(&|_| Value::Null, "text").into_bytes(), columns(None, None)),
        ("body.jsonl", objects(&|number| number.into(), "body").into_bytes(), columns(Some("body"), Some("id"))),
    ] {
        let corpus = load(&write(folder, name, content), columns).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(documents(&corpus), expected, "{name}");
    }
    let titled = load(&folder.join("number.jsonl"), Columns::default()).unwrap();
    assert!(titled.train.label(0).unwrap().unwrap().parse::<usize>().is_ok());
    for (name, content, part) in [
        (
            "a.docx",
            &b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml"[..],
            "a zip archive, as .docx",
        ),
        ("a.txt", b"PK\x03\x04\x14\0", "a zip archive"),
        ("b.pdf", b"%PDF-1.7\n", "is a PDF"),
        ("c.txt", b"a\0b\0 \0c\0d\0", "UTF-16 without a byte order mark"),
        ("d.json", b"[{\"text\": \"a\"}]", "is a JSON list, which is not read"),
        ("e.jsonl", b"[{\"text\": \"a\"}]", "line 1 is a JSON list, not an object"),
    ] {
        let message = load(&write(folder, name, content), Columns::default()).unwrap_err().to_string();
        assert!(message.contains(part) && message.contains(name), "{message}");
    }
}

/// Lines appended, removed and in another order, while the vocabulary is full: no document that was trained on is tested on.
#[test]
fn no_training_document_becomes_a_test_document() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..).zip(texts(300)).map(|(number, text)| format!("{number} {text}")).collect();
    let rules = CorpusRules { text: TextRules { max_words: 10, ..TextRules::default() }, ..CorpusRules::default() };
    let parts = |name: &str, texts: &[String]| {
        let path = write(folder.path(), name, texts.join("\n"));
        let corpus = CorpusSet::from_name(path.to_str().unwrap()).load(None, &rules, None).unwrap();
        let labels = |part: &gengs::data::Documents| -> BTreeSet<String> {
            (0..part.len()).map(|number| part.label(number).unwrap().unwrap_or_default()).collect()
        };
        (labels(&corpus.train), labels(&corpus.test))
    };
    let (train, test) = parts("a.txt", &texts);
    assert!(test.len() > 10 && train.is_disjoint(&test));
    let mut reversed: Vec<String> = texts.iter().rev().cloned().collect();
    assert_eq!(parts("b.txt", &reversed), (train.clone(), test.clone()));
    reversed.extend(self::texts(400).into_iter().enumerate().map(|(number, text)| format!("more {number} {text}")));
    reversed.drain(100..130);
    let (more_train, more_test) = parts("c.txt", &reversed);
    assert!(more_test.is_disjoint(&train) && more_train.is_disjoint(&test));
    // Twice the same text is on one side.
    let twice: Vec<String> = texts.iter().chain(&texts).cloned().collect();
    assert_eq!(parts("d.txt", &twice), (train, test));
}

#[test]
fn ten_themes_in_rotation_are_all_in_the_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..400)
        .map(|number| {
            format!(
                "theme{} word{}\n",
                ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][number % 10],
                "x".repeat(number % 30)
            )
        })
        .collect();
    let corpus = load(&write(folder.path(), "rotation.txt", text), Columns::default()).unwrap();
    assert_eq!(corpus.vocabulary.iter().filter(|word| word.starts_with("theme")).count(), 10);
    let report = corpus.report().unwrap();
    assert_eq!((report.documents, report.held_out), (400, corpus.test.len() as u64));
    assert_eq!(report.split, "share 0.1 for testing by seed 0");
    let text = report.text.unwrap();
    assert_eq!(text.kept + text.lost.iter().map(|loss| loss.words).sum::<u64>(), text.words);
}

#[test]
fn scripts_without_spaces_are_recognised_where_they_are_not_segmented() {
    let folder = tempfile::tempdir().unwrap();
    let thai = "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอน นักเรียนอ่านหนังสือในห้องสมุดของโรงเรียนทุกวัน\n".repeat(20);
    let segmented = "ภาษา ไทย เป็น ภาษา ที่ มี ระดับ เสียง ของ คำ แน่นอน\n".repeat(20);
    let chinese = "学生们在图书馆里学习中文课程。经济和股票市场正在上涨。\n".repeat(20);
    let rules = CorpusRules {
        text: TextRules { max_share: 1.0, ..TextRules::default() },
        split: Split { test_share: 0.0, ..Split::default() },
        ..CorpusRules::default()
    };
    let warnings = |name: &str, text: &str| {
        let path = write(folder.path(), name, text);
        let corpus = CorpusSet::from_name(path.to_str().unwrap()).load(None, &rules, None).unwrap();
        corpus.report().unwrap().warnings(&rules.text, &|setting, value| format!("{setting} = {value}")).join("\n")
    };
    assert!(
        warnings("thai.txt", &thai).contains("words in Thai script")
            && warnings("thai.txt", &thai).contains("PyThaiNLP")
    );
    assert!(warnings("chinese.txt", &chinese).contains("jieba"));
    let found = warnings("segmented.txt", &segmented);
    assert!(!found.contains("script"), "{found}");
}

#[test]
fn a_rule_that_takes_more_than_half_is_warned_of_and_kept_in_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let corpus = write(
        folder,
        "half.txt",
        texts(100).iter().map(|text| format!("{text} {text} {}\n", "it is on ".repeat(12))).collect::<String>(),
    );
    let run = folder.join("run");
    let output = train(corpus.to_str().unwrap(), &run, &[]);
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("read 100 documents"), "{said}");
    assert!(
        said.contains("warning:") && said.contains("have fewer than 3 letters (min-letters); --min-letters 1"),
        "{said}"
    );
    let report: gengs::data::ReadingReport =
        serde_json::from_str(&fs::read_to_string(run.join("reading.json")).unwrap()).unwrap();
    assert_eq!(report.text.unwrap().lost[0].rule, Rule::MinLetters);
    assert_eq!((report.documents, report.vocabulary), (100, 32));
}

/// Trains on what is refused, after the command that the error names.
fn follow_conversion(corpus: &Path, out: &Path) {
    let corpus = corpus.to_str().unwrap();
    let refused = stderr(&train(corpus, out, &[]));
    let command = refused.split('`').nth(1).unwrap_or_else(|| panic!("{refused}"));
    assert!(Command::new("sh").args(["-c", command]).output().unwrap().status.success(), "{command}");
    let followed = train(corpus, out, &[]);
    assert!(followed.status.success(), "{command}: {}", stderr(&followed));
}

/// Every command that an error advises, typed as it says.
#[test]
fn advice_works_when_it_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = &folder.path().join("a folder with ümläuts");
    let lines: String = texts(100).iter().map(|text| text.clone() + "\n").collect();
    let out = |name: &str| folder.join("runs").join(name);
    // Flags by which words are kept.
    for (name, content) in [
        ("stop.txt", "the and of it was not\n".repeat(50)),
        ("short.txt", "ab cd ef\n".repeat(50)),
        ("rare.txt", ('a'..='z').map(|c| format!("rare{c}\n")).collect()),
    ] {
        let corpus = write(folder, name, content);
        let refused = stderr(&train(corpus.to_str().unwrap(), &out(name), &[]));
        let flags = refused.trim().split("they are kept by ").nth(1).unwrap_or_else(|| panic!("{refused}"));
        let followed = train(corpus.to_str().unwrap(), &out(name), &flags.split(' ').collect::<Vec<_>>());
        assert!(followed.status.success(), "{}", stderr(&followed));
    }
    // A column, and a field.
    let table: String = texts(100).iter().map(|text| format!("7,{text}\n")).collect();
    let objects: String =
        texts(100).iter().map(|text| serde_json::json!({"id": 1, "the words": text}).to_string() + "\n").collect();
    let nested: String = texts(100)
        .iter()
        .map(|text| {
            serde_json::json!({"id": "a", "data": {"kind": "news", "body": {"words": text}}}).to_string() + "\n"
        })
        .collect();
    for (name, content) in
        [("t.csv", format!("a,free text\n{table}")), ("h.csv", table), ("o.jsonl", objects), ("n.jsonl", nested)]
    {
        let corpus = write(folder, name, content);
        let refused = stderr(&train(corpus.to_str().unwrap(), &out(name), &[]));
        let column = refused.trim().split("as in --text-column ").nth(1).unwrap_or_else(|| panic!("{refused}"));
        let followed = train(corpus.to_str().unwrap(), &out(name), &["--text-column", column.trim_matches('\'')]);
        assert!(followed.status.success(), "{}", stderr(&followed));
    }
    // A format before the path.
    let notes = write(folder, "notes.md", &lines);
    let refused = stderr(&train(notes.to_str().unwrap(), &out("notes"), &[]));
    let named = refused.split("as in ").nth(1).and_then(|rest| rest.split(" (text").next()).unwrap();
    assert_eq!(named, format!("text:{}", notes.display()));
    let run = out("notes");
    assert!(train(named, &run, &[]).status.success());
    let (answers, refused) = infer(&run, &["--input", notes.to_str().unwrap()], "");
    assert!(answers.is_empty() && refused.contains(named), "{refused}");
    assert_eq!(infer(&run, &["--input", named], "").0.len(), 100);
    // A conversion, after which the same command is run again.
    let mut latin = lines.clone().into_bytes();
    latin.extend(b"caf\xe9 caf\xe9\n");
    let latin = write(folder, "latin.txt", latin);
    follow_conversion(&latin, &out("latin"));
    // No test documents.
    let none = out("none");
    assert!(train(latin.to_str().unwrap(), &none, &["--test-share", "0"]).status.success());
    let output = topics(&["eval", "--run", none.to_str().unwrap()]).output().unwrap();
    assert!(
        stderr(&output).contains("is held out for testing; train with another --seed or a higher --test-share"),
        "{}",
        stderr(&output)
    );
    let some = out("some");
    assert!(train(latin.to_str().unwrap(), &some, &["--test-share", "0.2"]).status.success());
    topics(&["eval", "--run", some.to_str().unwrap(), "--importance-samples", "1"]).assert().success();
}

#[test]
fn standard_input_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let texts = texts(60);
    let small =
        ["train", "--corpus", "-", "--epochs", "1", "--topics", "3", "--hidden", "8", "--threads", "1", "--quiet"];
    topics(&small).arg("--out").arg(&run).write_stdin(texts.join("\n")).assert().success();
    let (answers, said) = infer(&run, &["--input", "-"], "ship ocean\nnothing known\n");
    assert_eq!(answers.len(), 2, "{said}");
    assert_eq!((&answers[0]["tokens"], &answers[1]["unknown"]), (&Value::from(2), &Value::from(1)));
    let (answers, _) =
        infer(&run, &["--input", "csv:-", "--id-column", "name"], "name,text\nx1,ship ship\nx2,\"bank,\nloan\"\n");
    let titles: Vec<&Value> = answers.iter().map(|answer| &answer["title"]).collect();
    assert_eq!(titles, ["x1", "x2"]);
    assert_eq!(answers[1]["tokens"], 2);
}

/// A field's own name comes before the path to one in an object.
#[test]
fn fields_of_objects_in_json_are_named_by_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let corpus = write(folder.path(), "texts.txt", texts(60).join("\n"));
    assert!(train(corpus.to_str().unwrap(), &run, &[]).status.success());
    let lines = "{\"a\": {\"t\": \"ship ocean\", \"n\": 7}}\n{\"a.t\": \"bank loan share\", \"a\": {\"t\": \"ship\"}}\n\
                 {\"a\": {\"b\": 1}, \"a.t\": \"nurse\", \"a.n\": \"x\"}\n";
    let input = write(folder.path(), "new.jsonl", lines);
    let fields = ["--text-column", "a.t", "--id-column", "a.n"];
    let (answers, said) = infer(&run, &[&["--input", input.to_str().unwrap()], &fields[..]].concat(), "");
    let found: Vec<_> = answers.iter().map(|answer| (answer["tokens"].as_u64(), answer["title"].as_str())).collect();
    assert_eq!(found, [(Some(2), Some("7")), (Some(3), None), (Some(1), Some("x"))], "{said}");
}

/// What has no effect, what was lost, and what is needed again.
#[test]
fn sources_that_are_not_as_they_were_meant_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let lines = texts(60).join("\n");
    let plain = write(folder.path(), "texts.txt", &lines);
    let said = stderr(&train(plain.to_str().unwrap(), &folder.path().join("a"), &["--header", "yes"]));
    assert!(said.contains("header 'yes' has no effect: the texts are read from no table"), "{said}");
    let said = stderr(&train(plain.to_str().unwrap(), &folder.path().join("b"), &[]));
    assert!(!said.contains("no effect") && !said.contains("UTF-16"), "{said}");

    let utf16 = |text: &str, more: &[u8]| -> Vec<u8> {
        let units = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        [&units, more].concat()
    };
    let table = format!("id,text\n{}", texts(60).iter().map(|text| format!("7,{text}\n")).collect::<String>());
    for (name, content) in [
        ("odd.txt", utf16(&lines, &[0x61])),
        ("half.txt", utf16(&lines, &[0, 0xd8, 0x61, 0])),
        ("half.csv", utf16(&table, &[0x37, 0, 0x2c, 0, 0, 0xdc])),
        ("folder/1.txt", utf16(&lines, &[0x61])),
    ] {
        let path = write(folder.path(), name, content);
        let corpus = if name.starts_with("folder") { path.parent().unwrap() } else { &path };
        let rules = CorpusRules { split: Split { test_share: 0.0, ..Split::default() }, ..CorpusRules::default() };
        let rules = CorpusRules { text: TextRules { max_share: 1.0, min_documents: 1, ..rules.text }, ..rules };
        let corpus = CorpusSet::from_name(corpus.to_str().unwrap()).load(None, rules, None).unwrap();
        let notes = corpus.report().unwrap().notes.join("; ");
        assert!(notes.contains("half characters, which are read as U+FFFD: 1"), "{name}: {notes}");
    }

    let run = folder.path().join("stdin");
    let small = ["train", "--corpus", "-", "--epochs", "1", "--topics", "3", "--hidden", "8", "--threads", "1"];
    topics(&small).arg("--out").arg(&run).write_stdin(lines).assert().success();
    let resumed = topics(&["train", "--resume", "--epochs", "2", "--out", run.to_str().unwrap()]).output().unwrap();
    assert!(stderr(&resumed).contains("pipe the corpus into the program, also where a run goes on"), "{resumed:?}");
}
