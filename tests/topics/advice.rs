//! What an error advises works when it is done, for sources that are hard to read.
#![cfg(feature = "cli")]

use assert_cmd::Command;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

const WORDS: [&str; 4] = ["wave ship anchor", "bank loan share", "nurse doctor clinic", "league match coach"];

fn lines(count: usize) -> String {
    (0..count).map(|number| format!("{}\n", WORDS[number % 4])).collect()
}

fn topics(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gengs-topics").unwrap();
    command.env_remove("GENGS_DATA").args(arguments);
    command
}

fn train(corpus: &Path, out: &Path, more: &[&str]) -> Output {
    let small = ["train", "--epochs", "1", "--topics", "2", "--hidden", "8", "--threads", "1", "--quiet"];
    topics(&small).arg("--corpus").arg(corpus).arg("--out").arg(out).args(more).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn shell(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", stderr(&output));
}

/// Files that are no UTF-8 are converted by the command that the error names, and then the same command trains.
#[test]
fn conversions_leave_a_source_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = &folder.path().join("a folder");
    fs::create_dir_all(folder.join("texts")).unwrap();
    let latin = |text: &str| [text.as_bytes(), b"caf\xe9 caf\xe9 ship\n"].concat();
    let wide = |to: fn(u32) -> [u8; 4]| -> Vec<u8> {
        std::iter::once('\u{feff}').chain(lines(40).chars()).flat_map(|letter| to(u32::from(letter))).collect()
    };
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&latin(&lines(40))).unwrap();
    let table: String = lines(40).lines().map(|line| format!("7,{line}\n")).collect();
    for number in 0..40 {
        fs::write(folder.join(format!("texts/{number}.txt")), WORDS[number % 4]).unwrap();
    }
    fs::write(folder.join("texts/4.txt"), latin("ship ")).unwrap();
    fs::write(folder.join("counts.svm"), "1 1:2 3:1\n1 2:1\n".repeat(30)).unwrap();
    fs::write(folder.join("counts.vocab"), b"ship\nanchor\ncaf\xe9\n").unwrap();
    fs::write(folder.join("latin.csv"), [latin(&format!("Nummer,Kommentar\n{table}7,"))].concat()).unwrap();
    fs::write(folder.join("packed.txt.gz"), packed.finish().unwrap()).unwrap();
    fs::write(folder.join("little.txt"), wide(u32::to_le_bytes)).unwrap();
    fs::write(folder.join("big.txt"), wide(u32::to_be_bytes)).unwrap();
    for (name, more) in [
        ("texts", &[][..]),
        ("counts.svm", &[]),
        ("latin.csv", &["--text-column", "Kommentar"]),
        ("packed.txt.gz", &[]),
        ("little.txt", &[]),
        ("big.txt", &[]),
    ] {
        let (corpus, run) = (folder.join(name), folder.join(format!("run-{name}")));
        let refused = stderr(&train(&corpus, &run, more));
        shell(refused.split('`').nth(1).unwrap_or_else(|| panic!("{name}: {refused}")));
        let followed = train(&corpus, &run, more);
        assert!(followed.status.success(), "{name}: {}", stderr(&followed));
        let words = fs::read_to_string(run.join("vocabulary.txt")).unwrap();
        assert!(words.contains("ship\n") && !words.contains('\0'), "{name}: {words}");
    }
}

/// A list of texts and one of objects become lines.
#[test]
fn lists_of_json_become_lines() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = lines(40).lines().map(String::from).collect();
    let objects: Vec<_> = texts.iter().map(|text| serde_json::json!({"text": text})).collect();
    for (name, content) in [
        ("it's.json", serde_json::to_string_pretty(&texts).unwrap()),
        ("objects.json", serde_json::to_string(&objects).unwrap()),
        ("named.jsonl", serde_json::to_string(&objects).unwrap()),
    ] {
        let corpus = folder.path().join(name);
        fs::write(&corpus, content).unwrap();
        let refused = stderr(&train(&corpus, &folder.path().join("run"), &[]));
        shell(refused.split('`').nth(1).unwrap_or_else(|| panic!("{name}: {refused}")));
        let followed =
            train(&folder.path().join(format!("{name}.jsonl")), &folder.path().join(format!("run-{name}")), &[]);
        assert!(followed.status.success(), "{name}: {}", stderr(&followed));
    }
}

/// Long lines of a script without spaces are words of more than 64 letters, which no flag keeps.
#[test]
fn text_without_spaces_is_to_be_segmented() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("thai.txt");
    let words = ["ภาษา", "ไทย", "เป็น", "ระดับ", "เสียง", "ของ", "คำ", "แน่นอน"];
    let text = |between: &str| -> String {
        (0..40)
            .map(|number| {
                (0..40).map(|place| words[(number + place * (1 + number % 3)) % 8]).collect::<Vec<_>>().join(between)
                    + "\n"
            })
            .collect()
    };
    fs::write(&corpus, text("")).unwrap();
    let refused = stderr(&train(&corpus, &folder.path().join("run"), &[]));
    assert!(refused.contains("by a segmenter such as PyThaiNLP") && !refused.contains("kept by"), "{refused}");
    fs::write(&corpus, text(" ")).unwrap();
    let followed = train(&corpus, &folder.path().join("run"), &["--max-share", "1"]);
    assert!(followed.status.success(), "{}", stderr(&followed));
    // Where others are kept by flags, these are named, and work.
    fs::write(&corpus, text("") + &"ab cd\n".repeat(5)).unwrap();
    let refused = stderr(&train(&corpus, &folder.path().join("other"), &[]));
    let flags: Vec<&str> =
        refused.trim().split("they are kept by ").nth(1).unwrap_or_else(|| panic!("{refused}")).split(' ').collect();
    let followed = train(&corpus, &folder.path().join("other"), &flags);
    assert!(followed.status.success(), "{}", stderr(&followed));
}

#[test]
fn pipes_and_devices_are_named_and_standard_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).output().unwrap().status.success());
    let named = format!("text:{}", pipe.display());
    for corpus in [pipe.as_path(), Path::new(&named)] {
        let refused = stderr(&train(corpus, &folder.path().join("run"), &[]));
        assert!(
            refused.contains("is a pipe, which can be read only once") && refused.contains("name - in its place"),
            "{refused}"
        );
    }
    let refused = stderr(&train(Path::new("/dev/null"), &folder.path().join("run"), &[]));
    assert!(refused.contains("/dev/null: is a device, and no file or folder"), "{refused}");
    let mut command =
        topics(&["train", "--epochs", "1", "--topics", "2", "--hidden", "8", "--threads", "1", "--quiet"]);
    command.args(["--corpus", "-"]).arg("--out").arg(folder.path().join("run"));
    command.write_stdin(lines(40)).assert().success();
}

/// `eval` has none of the flags that training has; and nothing is written over what a run was trained on.
#[test]
fn commands_on_a_run_advise_what_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("texts.txt"), lines(40)).unwrap();
    fs::write(path("other.txt"), "zz yy\n".repeat(30)).unwrap();
    assert!(train(&path("texts.txt"), &path("run"), &[]).status.success());
    let [run, texts, other] = ["run", "texts.txt", "other.txt"].map(|name| path(name).to_str().unwrap().to_string());
    let refused = stderr(&topics(&["eval", "--run", &run, "--corpus", &other]).output().unwrap());
    assert!(
        refused.contains("none of its 30 documents has a word of the run's") && !refused.contains("--min"),
        "{refused}"
    );
    fs::write(path("other.csv"), format!("a,b\n{}", "1,a ship anchor loan\n".repeat(30))).unwrap();
    let table = path("other.csv").to_str().unwrap().to_string();
    let refused = stderr(&topics(&["eval", "--run", &run, "--corpus", &table]).output().unwrap());
    let column = refused.trim().split("as in --text-column ").nth(1).unwrap_or_else(|| panic!("{refused}")).to_string();
    topics(&["eval", "--run", &run, "--corpus", &table, "--text-column", &column]).assert().success();
    let before = fs::read(&texts).unwrap();
    for command in [["tree", "--html"], ["export", "--safetensors"], ["export", "--torchscript"]] {
        let refused = topics(&[command[0], "--run", &run, command[1], &texts]).output().unwrap();
        assert!(stderr(&refused).contains("is what the run was trained on: name another file"), "{}", stderr(&refused));
    }
    assert_eq!(fs::read(&texts).unwrap(), before);
}
