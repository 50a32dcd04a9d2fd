//! Tables as other programs write them: their headers, and quotes that are none.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use gengs::cli::message_with_advice;
use gengs::data::{Columns, CorpusRules, CorpusSet, Header, Quotes, TextRules, visit_texts};
use std::fs;
use std::path::{Path, PathBuf};

const WORDS: [&str; 4] = ["wave ship anchor", "bank loan share", "nurse doctor clinic", "league match coach"];

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn columns(text: Option<&str>) -> Columns {
    Columns { text: text.map(String::from), ..Columns::default() }
}

/// How many documents are read, or the error; and what is said of the reading.
fn read(path: &Path, columns: Columns) -> Result<(u64, String), String> {
    let text = TextRules { min_documents: 1, max_share: 1.0, ..TextRules::default() };
    let rules = CorpusRules { columns: columns.clone(), text, ..CorpusRules::default() };
    let set = CorpusSet::from_name(path.to_str().unwrap());
    let report =
        set.load(None, rules, None).and_then(|corpus| corpus.report()).map_err(|error| message_with_advice(&error));
    let (mut visited, mut count) = (Ok(Vec::new()), 0);
    if report.is_ok() {
        visited = visit_texts(&set, &columns, &mut |_, _| {
            count += 1;
            Ok(())
        });
    }
    let report = report?;
    assert_eq!((report.documents, report.notes.clone()), (count, visited.unwrap()));
    Ok((report.documents, report.notes.join("; ")))
}

/// Rows of a number and a text; those of `odd` begin with a quote, and those of `closed` end with one.
fn rows(separator: char, odd: &[usize], closed: &[usize], more: &str) -> String {
    let row = |number: usize| {
        let [open, close] = [odd, closed].map(|list| if list.contains(&number) { "\"" } else { "" });
        format!("{number}{separator}{open}{}{close}{more}\n", WORDS[number % 4])
    };
    (1..=300).map(row).collect()
}

/// A text that begins with a quote swallowed all rows up to the next one, or to the end.
#[test]
fn quotes_that_swallow_rows_are_refused_and_can_be_taken_for_text() {
    let folder = tempfile::tempdir().unwrap();
    for (name, separator, more) in
        [("a.tsv", '\t', ""), ("b.csv", ',', ""), ("c.tsv", '\t', "\tx"), ("d.csv", ',', ",x")]
    {
        for (odd, closed, line) in [
            (&[20][..], &[][..], "line 21 "),
            (&[20, 120], &[], "line 21 "),
            (&[20], &[120], "lines 21 to 121 "),
            (&[300], &[], "line 301 "),
        ] {
            let header = format!(
                "id{separator}text{}\n",
                if more.is_empty() { String::new() } else { format!("{separator}label") }
            );
            let path = write(folder.path(), name, header + &rows(separator, odd, closed, more));
            let refused = read(&path, columns(None)).unwrap_err();
            assert!(refused.contains(name) && refused.contains(line) && refused.contains("--quotes text"), "{refused}");
            let taken = Columns { quotes: Quotes::Text, ..columns(None) };
            assert_eq!(read(&path, taken).unwrap().0, 300, "{name} {odd:?} {closed:?}");
            let error = visit_texts(&CorpusSet::from_name(path.to_str().unwrap()), &columns(None), &mut |_, _| Ok(()));
            assert_eq!(message_with_advice(&error.unwrap_err()), refused);
        }
    }
    // Near the start, where it is found out what separates fields.
    for (odd, line) in [(&[3, 10][..], "line 4 "), (&[3], "line 4 ")] {
        let path = write(folder.path(), "near.csv", format!("id;text;n\n{}", rows(';', odd, &[], ";1")));
        let refused = read(&path, columns(None)).unwrap_err();
        assert!(refused.contains(line) && refused.contains("--quotes text"), "{refused}");
        assert_eq!(read(&path, Columns { quotes: Quotes::Text, ..columns(None) }).unwrap().0, 300);
    }
    // A few rows could be one text: that is said.
    let path = write(folder.path(), "few.csv", format!("id,text\n{}", rows(',', &[20], &[22], "")));
    let (count, notes) = read(&path, columns(None)).unwrap();
    assert!(count == 298 && notes.contains("rows of their own: 1, the first from line 21 on"), "{notes}");
    // What is quoted well, and what only has quotes, is read as it was.
    let well = "id,text\n1,\"a ship,\n\nan \"\"anchor\"\"\"\n2,\"Great\" ship\n3,a 5\" anchor\n";
    let path = write(folder.path(), "well.csv", well);
    let (count, notes) = read(&path, columns(None)).unwrap();
    assert!(count == 3 && !notes.contains("rows of their own"), "{notes}");
}

#[test]
fn infer_refuses_such_quotes_too() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = write(folder.path(), "plain.txt", (WORDS.join("\n") + "\n").repeat(30));
    let run = folder.path().join("run");
    let topics = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("gengs-topics").unwrap();
        command.env_remove("GENGS_DATA").args(arguments).output().unwrap()
    };
    let [corpus, run] = [&corpus, &run].map(|path| path.to_str().unwrap());
    let small = ["train", "--epochs", "1", "--topics", "2", "--hidden", "8", "--threads", "1", "--quiet"];
    assert!(topics(&[&small[..], &["--corpus", corpus, "--out", run]].concat()).status.success());
    let table = write(folder.path(), "new.tsv", "id\ttext\n1\t\"a ship\n2\tan anchor\n3\ta loan\n");
    let infer = ["infer", "--run", run, "--input", table.to_str().unwrap(), "--id-column", "id"];
    let refused = topics(&infer);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("line 2 begins a field") && said.contains("--quotes text"),
        "{said}"
    );
    let followed = topics(&[&infer[..], &["--quotes", "text"]].concat());
    let said = String::from_utf8_lossy(&followed.stderr).into_owned();
    let titles = String::from_utf8_lossy(&followed.stdout).lines().count();
    assert!(
        followed.status.success() && titles == 3 && said.contains("the text is in column 2 of 2, 'text'"),
        "{said}"
    );
}

#[test]
fn headers_of_other_programs_are_headers() {
    let folder = tempfile::tempdir().unwrap();
    let long = "How satisfied are you with the service of our company all in all from 1 to 5?";
    let table = |first: &str, row: &dyn Fn(usize) -> String| {
        let rows: String = (0..40).map(|number| row(number) + "\n").collect();
        write(folder.path(), "table.csv", format!("{first}\n{rows}"))
    };
    let pandas = |number: usize| format!("{number},{} and more,shipping news", WORDS[number % 4]);
    for (first, text, place) in [
        (",text,label", None, "column 2 of 3, 'text'"),
        (",text,label", Some("2"), "column 2 of 3, 'text'"),
        (",text,label", Some("text"), "column 2 of 3, 'text'"),
        (",words,", Some("words"), "column 2 of 3, 'words'"),
        ("id,text,2020", None, "column 2 of 3, 'text'"),
        ("id,text,2020", Some("2020"), "column 3 of 3, '2020'"),
        ("Text,text,body", None, "column 2 of 3, 'text', not in 'Text', 'body'"),
        (&format!("id,text,{long}"), None, "column 2 of 3, 'text'"),
        (&format!("n,words,{long}"), Some("words"), "column 2 of 3, 'words'"),
    ] {
        let (count, notes) =
            read(&table(first, &pandas), columns(text)).unwrap_or_else(|error| panic!("{first}: {error}"));
        assert!(count == 40 && notes.contains(place) && notes.contains("line 1 holds the names"), "{first}: {notes}");
    }
    // Advice is the column of the most text, whatever the header is, and works when it is followed.
    for first in [",words,kind of thing", "n,words,2020", "id,text,text", "text,text,text"] {
        let path = table(first, &pandas);
        let refused = read(&path, columns(None)).unwrap_err();
        let column = refused.split("as in --text-column ").nth(1).unwrap_or_else(|| panic!("{refused}"));
        let (count, notes) = read(&path, columns(Some(column))).unwrap();
        assert!(count == 40 && notes.contains("column 2 of 3"), "{notes}");
    }
    // Without a header, by number: that is said, and a user can say otherwise.
    let path = table("7,a first text,x", &pandas);
    let refused = read(&path, columns(None)).unwrap_err();
    assert!(refused.contains("no header") && refused.ends_with("--text-column 2"), "{refused}");
    let (count, notes) = read(&path, columns(Some("2"))).unwrap();
    assert!(count == 41 && notes.contains("line 1 is a document") && notes.contains("header 'yes'"), "{notes}");
    assert_eq!(read(&path, Columns { header: Header::Yes, ..columns(Some("2")) }).unwrap().0, 40);
    let path = table(",text,label", &pandas);
    assert_eq!(read(&path, Columns { header: Header::No, ..columns(Some("2")) }).unwrap().0, 41);
    // The rule of before, of runs that were trained by it.
    assert_eq!(read(&path, Columns { header: Header::Short, ..columns(Some("2")) }).unwrap().0, 41);
}
