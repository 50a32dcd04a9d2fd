//! Every command on a run folder from somebody else, as a user types it: what it writes, says, prints and waits for.
#![cfg(all(feature = "cli", unix))]

use gengs::training::RUN_FILES;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A command in a home of its own.
fn command(program: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
    command.env_remove("GENGS_DATA").env("HOME", home).env("OMP_NUM_THREADS", "1").current_dir(home).args(arguments);
    command.args(["--threads", "1"]);
    command
}

pub fn run(program: &str, home: &Path, arguments: &[&str]) -> Output {
    let output = command(program, home, arguments).output().unwrap();
    assert!(output.status.code().is_some(), "{arguments:?}: {output:?}");
    output
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names and contents of all files below a folder, links not followed.
pub fn all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap() {
            kind if kind.is_dir() => found.extend(all(&path)),
            kind if kind.is_file() => found.push((path.clone(), fs::read(&path).unwrap())),
            _ => found.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())),
        }
    }
    found.sort();
    found
}

/// Documents whose words have escapes, as they lie beside a file of counts.
fn corpus(folder: &Path) -> PathBuf {
    let path = folder.join("words.ldac");
    fs::write(&path, "2 0:1 1:2\n2 1:1 2:1\n2 0:1 2:3\n".repeat(10)).unwrap();
    fs::write(folder.join("words.vocab"), "red\x1b[2J\ngre\x07en\nblue\u{9b}31m\n").unwrap();
    path
}

#[test]
fn no_command_changes_what_a_handed_run_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("new.txt"), "red blue\n").unwrap();
    let corpus = corpus(folder.path());
    let store = folder.path().join("store");
    let settings = ["--epochs", "1", "--quiet", "--device", "cpu"];
    let images = ["--latents", "2", "--hidden", "2", "--batch-size", "500"];
    let words = [
        "--topics",
        "2",
        "--hidden",
        "2",
        "--split",
        "every-tenth",
        "--corpus",
        corpus.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    for (program, own, commands) in [
        (
            "gengs-vae",
            &images[..],
            &[
                &["eval", "--importance-samples", "1", "--batch-size", "500"][..],
                &["sample", "--png", "out"],
                &["export", "--torchscript", "out"],
                &["export", "--safetensors", "out"],
            ][..],
        ),
        (
            "gengs-topics",
            &words,
            &[
                &["eval", "--importance-samples", "1"],
                &["topics"],
                &["tree", "--html", "out"],
                &["infer", "--input", "new.txt"],
                &["export", "--torchscript", "out"],
                &["export", "--safetensors", "out"],
            ],
        ),
    ] {
        let handed = folder.path().join(program);
        let out = handed.to_str().unwrap();
        let output = run(program, &home, &[&["train", "--out", out][..], &settings, own].concat());
        assert!(output.status.success(), "{output:?}");
        // Whoever hands it over has links to the reader's files wherever a file is, or may be, written.
        let canary = home.join("canary");
        fs::write(&canary, "mine").unwrap();
        let is_read = |name: &str| name.ends_with(".safetensors") || ["config.toml", "vocabulary.txt"].contains(&name);
        for name in RUN_FILES.map(|file| file.name) {
            let temporary = [format!("{name}.tmp"), format!(".{name}.tmp")];
            for name in temporary.iter().map(String::as_str).chain(Some(name).filter(|name| !is_read(name))) {
                let _ = fs::remove_file(handed.join(name));
                symlink(&canary, handed.join(name)).unwrap();
            }
        }
        for name in ["out", "out-reconstructions.png"] {
            let _ = fs::remove_file(home.join(name));
            symlink(&canary, home.join(name)).unwrap();
        }
        let _ = fs::remove_dir_all(&store);
        let before = [all(&home), all(&handed)];
        for arguments in commands {
            let output = run(program, &home, &[arguments, &["--run", out][..]].concat());
            let text = stderr(&output);
            assert_eq!(output.status.success(), !arguments.contains(&"out"), "{arguments:?}: {text}");
            assert!(output.status.success() || text.contains("is a link"), "{arguments:?}: {text}");
            assert!([all(&home), all(&handed)] == before && !store.exists(), "{program} {arguments:?}");
        }
        let output = run(program, &home, &["train", "--resume", "--epochs", "2", "--out", out]);
        assert!(!output.status.success() && all(&home) == before[0] && !store.exists(), "{output:?}");
    }
}

#[test]
fn paths_outside_are_named_words_are_shown_and_files_of_the_run_are_no_targets() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let corpus = corpus(home);
    let corpus = corpus.to_str().unwrap();
    let settings = ["--epochs", "1", "--topics", "2", "--hidden", "2", "--quiet", "--corpus", corpus, "--out", "run"];
    assert!(run("gengs-topics", home, &[&["train"][..], &settings].concat()).status.success());
    let evaluated = stderr(&run("gengs-topics", home, &["eval", "--run", "run", "--importance-samples", "1"]));
    assert!(evaluated.contains(&format!("make this command read: {corpus}")), "{evaluated}");
    // What a user typed he knows.
    fs::write(home.join("others.ldac"), "2 0:1 1:2\n1 2:5\n").unwrap();
    fs::copy(home.join("words.vocab"), home.join("others.vocab")).unwrap();
    let typed = ["eval", "--run", "run", "--importance-samples", "1", "--corpus", "others.ldac"];
    let evaluated = run("gengs-topics", home, &typed);
    let text = stderr(&evaluated);
    assert!(evaluated.status.success() && !text.contains("make this command read"), "{text}");
    let shown = run("gengs-topics", home, &["topics", "--run", "run"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains(r"red\u001b[2J") && text.contains(r"gre\u0007en"), "{text}");
    assert!(text.contains(r"blue\u009b31m") && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let document = run("gengs-topics", home, &["topics", "--run", "run", "--json"]).stdout;
    let topics: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let words = topics[0]["words"].as_array().unwrap();
    assert!(words.iter().any(|word| word[0] == "red\x1b[2J"), "{topics}");
    assert!(!String::from_utf8(document).unwrap().contains(|c: char| c.is_control() && c != '\n'));

    // Before its end, a run keeps nothing to show: its documents are read, and links in its folder named once.
    fs::remove_file(home.join("run/topics-best.safetensors")).unwrap();
    fs::rename(home.join("run/best.safetensors"), home.join("elsewhere")).unwrap();
    symlink(home.join("elsewhere"), home.join("run/best.safetensors")).unwrap();
    for arguments in [&["topics"][..], &["tree", "--html", "page.html"]] {
        let output = run("gengs-topics", home, &[arguments, &["--run", "run"]].concat());
        let text = stderr(&output);
        assert!(output.status.success(), "{output:?}");
        assert!(
            [home.join("elsewhere").to_str().unwrap(), corpus].iter().all(|path| text.matches(path).count() == 1),
            "{text}"
        );
    }

    let before = all(&home.join("run"));
    for arguments in [
        ["export", "--safetensors", "run/last.safetensors"],
        ["export", "--torchscript", "run/config.toml"],
        ["tree", "--html", "run/metrics.jsonl"],
    ] {
        let output = run("gengs-topics", home, &[&arguments[..], &["--run", "run"]].concat());
        assert!(stderr(&output).contains("is a file of a run"), "{}", stderr(&output));
        assert_eq!(all(&home.join("run")), before);
    }
    let output = run("gengs-vae", home, &["sample", "--run", "run", "--png", "run/best.safetensors"]);
    assert!(stderr(&output).contains("is a file of a run"), "{}", stderr(&output));
}

/// A command names where a run's links lead, and a name in its settings forges no line.
#[test]
fn links_and_settings_are_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let settings = ["--epochs", "1", "--latents", "2", "--hidden", "4", "--quiet", "--out", "run"];
    assert!(run("gengs-vae", home, &[&["train"][..], &settings].concat()).status.success());
    fs::rename(home.join("run/best.safetensors"), home.join("elsewhere")).unwrap();
    symlink(home.join("elsewhere"), home.join("run/best.safetensors")).unwrap();
    for arguments in [
        &["sample", "--png", "a.png"][..],
        &["export", "--safetensors", "a.safetensors"],
        &["eval", "--importance-samples", "1"],
    ] {
        let output = run("gengs-vae", home, &[arguments, &["--run", "run"]].concat());
        let text = stderr(&output);
        let named = format!("make this command read: {}", home.join("elsewhere").display());
        assert!(output.status.success() && text.contains(&named), "{arguments:?}: {text}");
        assert_eq!(text.matches("make this command read").count(), 1, "{arguments:?}: {text}");
    }
    let config = fs::read_to_string(home.join("run/config.toml")).unwrap();
    let forged = config.replace("dataset = \"mnist-5k\"", "dataset = \"/nowhere\\nerror: \\u200e\\tforged\"");
    assert_ne!(forged, config);
    fs::write(home.join("run/config.toml"), forged).unwrap();
    let text = stderr(&run("gengs-vae", home, &["eval", "--run", "run"]));
    assert!(text.contains(r"/nowhere error: \u200e forged"), "{text}");
    assert!(text.lines().all(|line| line.starts_with("the run's") || line.starts_with("error: /nowhere")), "{text}");
    fs::write(home.join("run/config.toml"), "\n").unwrap();
    let text = stderr(&run("gengs-vae", home, &["eval", "--run", "run"]));
    assert!(text.contains("is empty, but must hold all settings of a run"), "{text}");
}

#[test]
fn what_never_ends_is_a_sentence_and_a_signal_ends_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    for arguments in [["--config", "/dev/zero"], ["--init-from", "/dev/urandom"], ["--dataset", "/dev/zero"]] {
        let output = run("gengs-vae", home, &[&["train", "--out", "run"][..], &arguments].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("/dev/") && text.contains("regular file") && text.lines().count() == 1, "{text}");
        assert!(!home.join("run").exists());
    }
    let pipe = home.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut waiting =
        command("gengs-vae", home, &["train", "--config", "pipe"]).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(waiting.try_wait().unwrap().is_none());
    assert!(Command::new("kill").args(["-TERM", &waiting.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    while waiting.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "the first signal does not end it");
        std::thread::sleep(Duration::from_millis(10));
    }
    // A pipe that a user typed is read to its end.
    let mut child = command("gengs-vae", home, &["train", "--config", "pipe"]).stderr(Stdio::piped()).spawn().unwrap();
    fs::write(&pipe, "latents = 0\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let text = stderr(&child.wait_with_output().unwrap());
    assert!(text.contains("latents is 0"), "{text}");
}

/// What the set-up installs has hashes, all of it.
#[test]
fn the_set_up_installs_only_what_has_a_hash() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("libtorch-setup.sh")).unwrap();
    let lines = script.lines().filter(|line| line.contains("packages=("));
    assert_eq!(lines.clone().count(), 2);
    for (line, list) in lines.zip(["libtorch/cuda.txt", "libtorch/cpu.txt"]) {
        assert!(line.contains("--require-hashes") && line.contains(list), "{line}");
        let list = fs::read_to_string(root.join(list)).unwrap();
        let joined = list.replace("\\\n", " ");
        let packages: Vec<&str> = joined.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(packages.len() >= 3);
        for package in packages {
            let hashes: Vec<&str> = package.split("--hash=sha256:").skip(1).map(str::trim).collect();
            assert!(package.contains("==") && !hashes.is_empty(), "{package}");
            let is_hash = |hash: &&str| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            assert!(hashes.iter().all(is_hash), "{package}");
        }
    }
}
