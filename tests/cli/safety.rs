//! Folders and files from somebody else: nothing but what a command is there for is written, waited for or printed. `docs/security.md` says what is promised.
#![cfg(unix)]

use gengs::data::{STORE_FILES, TextRules};
use gengs::training::{
    Checkpoint, Control, EpochRecord, METRICS, RUN_FILES, RunFolder, Session, TopicsTask, TopicsTrainConfig,
    TrainConfig, VaeTask, must_not_be_of_a_run,
};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tch::Device;

/// A run of one epoch on ten small pictures.
fn images_run(folder: &Path) -> PathBuf {
    let dataset = folder.join("images");
    let header = [0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 3];
    fs::write(&dataset, [&header[..], &(0..60).map(|i| i * 4).collect::<Vec<u8>>()].concat()).unwrap();
    let dataset = dataset.display().to_string();
    let config =
        TrainConfig { dataset, latents: 2, hidden: vec![3], epochs: 1, batch_size: 4, ..TrainConfig::default() };
    let out = folder.join("run");
    go(&mut Session::<VaeTask>::start(config, &out, Device::Cpu).unwrap()).unwrap();
    out
}

fn go(session: &mut Session<VaeTask>) -> gengs::Result<Control> {
    session.run(|_| Control::Continue, |_| ())
}

/// One more epoch than the run had.
fn go_on(run: &Path) -> gengs::Result<Control> {
    let (_, config) = RunFolder::open::<TrainConfig>(run)?;
    go(&mut Session::<VaeTask>::resume(run, Some(config.epochs + 1), None, Device::Cpu)?)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A file of the reader's that nobody may change.
struct Canary {
    path: PathBuf,
    inode: u64,
}

impl Canary {
    fn new(path: PathBuf) -> Self {
        fs::write(&path, "mine").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let inode = path.metadata().unwrap().ino();
        Self { path, inode }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let found = self.path.symlink_metadata().unwrap();
        assert_eq!(fs::read(&self.path).unwrap(), b"mine", "{what}");
        assert_eq!((found.ino(), found.permissions().mode() & 0o777), (self.inode, 0o640), "{what}");
    }
}

/// What somebody may put in place of a file.
#[derive(Debug, Clone, Copy)]
enum Trap {
    Link,
    LinkToNothing,
    SecondName,
    Pipe,
    LinkToDevice,
    Folder,
}

const TRAPS: [Trap; 6] =
    [Trap::Link, Trap::LinkToNothing, Trap::SecondName, Trap::Pipe, Trap::LinkToDevice, Trap::Folder];

impl Trap {
    fn set(self, at: &Path, canary: &Path, nothing: &Path) {
        let _ = fs::remove_file(at);
        match self {
            Trap::Link => symlink(canary, at).unwrap(),
            Trap::LinkToNothing => symlink(nothing, at).unwrap(),
            Trap::SecondName => fs::hard_link(canary, at).unwrap(),
            Trap::Pipe => assert!(std::process::Command::new("mkfifo").arg(at).status().unwrap().success()),
            Trap::LinkToDevice => symlink("/dev/zero", at).unwrap(),
            Trap::Folder => fs::create_dir(at).unwrap(),
        }
    }
}

/// The names of a file of the run and of the files that it may have been written by.
fn names(name: &str) -> [String; 3] {
    [name.to_string(), format!("{name}.tmp"), format!(".{name}.tmp")]
}

/// Every file of the table, and every trap in its place: the run goes on or says in a sentence why not, and nothing outside changes.
#[test]
fn no_file_of_a_handed_run_leads_outside() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    let nothing = folder.path().join("nothing");
    for file in RUN_FILES {
        for (i, name) in names(file.name).into_iter().enumerate() {
            // A name that only older versions wrote under is met by one of them.
            for &trap in if i == 0 { &TRAPS[..] } else { &TRAPS[..1] } {
                let what = format!("{trap:?} at {name}");
                let handed = folder.path().join("handed");
                copy(&run, &handed);
                let canary = Canary::new(folder.path().join("canary"));
                trap.set(&handed.join(&name), &canary.path, &nothing);
                let outcomes = [
                    Session::<VaeTask>::load(&handed, "best", None, Device::Cpu).map(|_| ()),
                    Session::<VaeTask>::load(&handed, "last", None, Device::Cpu).map(|_| ()),
                    go_on(&handed).map(|_| ()),
                ];
                for outcome in outcomes {
                    let message = outcome.err().map(|error| error.to_string()).unwrap_or_default();
                    assert!(message.lines().count() <= 1, "{what}: {message}");
                }
                canary.check(&what);
                assert!(!nothing.exists(), "{what}");
                fs::remove_dir_all(&handed).unwrap();
                fs::remove_file(&canary.path).unwrap();
            }
        }
    }
}

#[test]
fn a_lock_that_leads_elsewhere_and_a_checkpoint_without_an_end_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    let canary = Canary::new(folder.path().join("canary"));
    for (name, trap, part) in [
        ("lock", Trap::Link, "is a link"),
        ("lock", Trap::SecondName, "has 2 names"),
        ("lock", Trap::Pipe, "is a pipe"),
        ("last.safetensors", Trap::Link, "only a regular file is replaced"),
        ("config.toml", Trap::Pipe, "is a pipe, not a regular file"),
    ] {
        let handed = folder.path().join("handed");
        copy(&run, &handed);
        trap.set(&handed.join(name), &canary.path, Path::new("/nowhere"));
        let message = go_on(&handed).unwrap_err().whole();
        assert!(message.contains(name) && message.contains(part), "{message}");
        canary.check(name);
        fs::remove_dir_all(&handed).unwrap();
    }
    for trap in [Trap::LinkToDevice, Trap::Pipe] {
        let path = folder.path().join("best.safetensors");
        trap.set(&path, &canary.path, Path::new("/nowhere"));
        let message = Checkpoint::read(&path).unwrap_err().to_string();
        assert!(message.contains("not a regular file"), "{message}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_lock_that_is_gone_stops_the_first_trainer_and_modes_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    let mut first = Session::<VaeTask>::resume(&run, Some(3), None, Device::Cpu).unwrap();
    fs::remove_file(run.join("lock")).unwrap();
    let mut second = Session::<VaeTask>::resume(&run, Some(2), None, Device::Cpu).unwrap();
    let message = go(&mut first).unwrap_err().to_string();
    assert!(message.contains("lock") && message.contains("was removed or replaced"), "{message}");
    go(&mut second).unwrap();
    drop((first, second));
    let (kept, _) = RunFolder::open::<TrainConfig>(&run).unwrap();
    assert_eq!(kept.records::<EpochRecord>(METRICS).unwrap().len(), 2);

    let files = || fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
    for path in files() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let before: Vec<PathBuf> = files().collect();
    go_on(&run).unwrap();
    for path in before {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    let [left, kept] = [".last.safetensors.0123456789abcdef.tmp", ".mine.0123456789abcdef.tmp"].map(|n| run.join(n));
    fs::write(&left, "half").unwrap();
    fs::write(&kept, "whole").unwrap();
    go_on(&run).unwrap();
    assert!(!left.exists() && kept.exists());
}

/// Writes a checkpoint anew with other metadata.
fn with_metadata(path: &Path, change: impl Fn(&mut HashMap<String, String>, &mut serde_json::Value)) {
    let bytes = fs::read(path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut progress: serde_json::Value = serde_json::from_str(&metadata["gengs.progress"]).unwrap();
    change(&mut metadata, &mut progress);
    metadata.insert("gengs.progress".into(), progress.to_string());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    fs::write(path, safetensors::serialize(file.iter(), Some(metadata)).unwrap()).unwrap();
}

#[test]
fn progress_that_no_run_makes_and_a_checksum_that_is_gone_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    let path = run.join("last.safetensors");
    let whole = fs::read(&path).unwrap();
    let old = |progress: &mut serde_json::Value| {
        for name in ["skipped_steps", "uncounted_examples", "other_updates"] {
            progress.as_object_mut().unwrap().remove(name);
        }
    };
    let refused = |part: &str, change: &dyn Fn(&mut serde_json::Value)| {
        fs::write(&path, &whole).unwrap();
        with_metadata(&path, |metadata, progress| {
            metadata.remove("gengs.crc32");
            change(progress);
        });
        let message = Checkpoint::read(&path).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused("its checksum is missing", &|_| ());
    for (name, value) in [
        ("steps", serde_json::json!(1u64 << 63)),
        ("epochs", serde_json::json!(2_000_000)),
        ("updates", serde_json::json!(-1)),
        ("seconds", serde_json::json!(-1.0)),
    ] {
        refused("progress is impossible", &|progress| {
            old(progress);
            progress[name] = value.clone();
        });
    }
    // A checkpoint from before there were checksums is read.
    fs::write(&path, &whole).unwrap();
    with_metadata(&path, |metadata, progress| {
        metadata.remove("gengs.crc32");
        old(progress);
    });
    assert_eq!(Checkpoint::read(&path).unwrap().progress().epochs, 1);
    // Steps that its epoch has not.
    with_metadata(&path, |_, progress| progress["steps"] = serde_json::json!(1000));
    let message = go_on(&run).unwrap_err().to_string();
    assert!(message.contains("steps that the checkpoint has made is 1000, but must be at most 2"), "{message}");
}

/// The names and contents of a folder.
fn listed(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let content = |path: &Path| path.symlink_metadata().unwrap().is_file().then(|| fs::read(path).unwrap());
    let mut all: Vec<_> = entries.map(|path| (path.clone(), content(&path).unwrap_or_default())).collect();
    all.sort();
    all
}

#[test]
fn a_store_is_written_only_where_a_user_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A corpus whose name is text of somebody else's choosing.
    let corpus = path("words\nssh-ed25519 AAAA.txt");
    fs::write(&corpus, "red green blue\nred blue\ngreen blue\n".repeat(10)).unwrap();
    let text =
        TextRules { min_letters: 1, stop_words: false, min_documents: 1, max_share: 1.0, ..TextRules::default() };
    let config = TopicsTrainConfig {
        corpus: corpus.display().to_string(),
        store: Some(path("store")),
        topics: vec![2],
        hidden: 4,
        epochs: 1,
        text,
        ..TopicsTrainConfig::default()
    };
    let run = path("run");
    Session::<TopicsTask>::start(config, &run, Device::Cpu).unwrap();
    let (task, _) = Session::<TopicsTask>::load(&run, "last", None, Device::Cpu).unwrap();
    assert!(task.corpus().train.are_on_disk());
    drop(task);

    // Every file of the store in turn, and every trap in its place; the vocabulary, without which it is no store, is missing too.
    let whole = path("whole");
    copy(&path("store"), &whole);
    for (i, name) in STORE_FILES.into_iter().flat_map(names).enumerate() {
        for &trap in if i % 3 == 0 { &TRAPS[..] } else { &TRAPS[..1] } {
            let what = format!("{trap:?} at {name}");
            fs::remove_dir_all(path("store")).unwrap();
            copy(&whole, &path("store"));
            fs::remove_file(path("store").join("documents.vocabulary")).unwrap();
            let canary = Canary::new(path("canary"));
            trap.set(&path("store").join(&name), &canary.path, &path("nothing"));
            let before = listed(&path("store"));
            let _ = Session::<TopicsTask>::load(&run, "last", None, Device::Cpu);
            let resumed = Session::<TopicsTask>::resume(&run, Some(2), None, Device::Cpu);
            assert!(resumed.is_err(), "{what}");
            assert_eq!(listed(&path("store")), before, "{what}");
            // Even where it is asked for, nothing outside of the folder is written.
            let (_, config) = RunFolder::open::<TopicsTrainConfig>(&run).unwrap();
            let _ = config.write_store();
            canary.check(&what);
            assert!(!path("nothing").exists(), "{what}");
            fs::remove_file(&canary.path).unwrap();
        }
    }
    // Without a store the run is shown from its corpus, and goes on where the store is written anew.
    fs::remove_dir_all(path("store")).unwrap();
    let (task, config) = Session::<TopicsTask>::load(&run, "last", None, Device::Cpu).unwrap();
    assert!(!task.corpus().train.are_on_disk() && !path("store").exists());
    let error = Session::<TopicsTask>::resume(&run, Some(2), None, Device::Cpu).unwrap_err();
    assert!(matches!(error, gengs::Error::NotInStore { .. }) && !path("store").exists(), "{error}");
    config.write_store().unwrap();
    Session::<TopicsTask>::resume(&run, Some(2), None, Device::Cpu).unwrap();
}

#[test]
fn files_of_a_run_are_no_place_for_exports() {
    let folder = tempfile::tempdir().unwrap();
    let run = images_run(folder.path());
    for file in RUN_FILES {
        let message = must_not_be_of_a_run(&run.join(file.name)).unwrap_err().to_string();
        assert!(message.contains("is a file of a run"), "{message}");
        must_not_be_of_a_run(&folder.path().join(file.name)).unwrap();
    }
    must_not_be_of_a_run(&run.join("LAST.safetensors")).unwrap_err();
    must_not_be_of_a_run(&run.join("grid.png")).unwrap();
}

#[test]
fn messages_have_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("red\u{1b}[31m\nred.toml");
    fs::write(&path, "latents = 5\n\"\u{9b}31m\\u001b[2J\" = 1\n").unwrap();
    let message = gengs::training::read_settings::<TrainConfig>(&path).unwrap_err().to_string();
    assert!(message.contains("line 2: unknown field") && message.contains(r"red\u001b[31m"), "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
}
