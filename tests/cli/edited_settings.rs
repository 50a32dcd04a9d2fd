//! Settings of a finished run that somebody edits: what its weights are bound to is refused by every command, and the rest is free.
#![cfg(all(feature = "cli", unix))]

use super::handed_runs::{all, run, stderr};
use crate::common::is_thorough;
use gengs::Error;
use gengs::data::TextRules;
use gengs::training::{
    Loaded, RunFolder, Session, Settings, TopicsShown, TopicsTask, TopicsTrainConfig, TrainConfig, TrainedTopics,
    VaeTask, weights,
};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;
use tch::Device;

/// A program's run, whose settings are edited after it has ended.
struct Edited {
    program: &'static str,
    training: &'static [&'static str],
    /// Settings that the weights are bound to, with other values.
    bound: &'static [(&'static str, &'static str)],
    /// Settings that may be edited.
    free: &'static [&'static str],
    /// How some of these are, before the run goes on.
    changed: &'static [(&'static str, &'static str)],
    /// What reads the run's weights in the library, and its error.
    readers: &'static [fn(&Path) -> Option<Error>],
    /// The commands that do.
    commands: &'static [&'static str],
}

const IMAGES: Edited = Edited {
    program: "gengs-vae",
    training: &["--latents", "2", "--hidden", "2", "--batch-size", "500"],
    bound: &[
        ("family", "'geometric'"),
        ("inference", "'explicit'"),
        ("prior", "3.0"),
        ("truncation", "'tail:1e-6'"),
        ("latents", "3"),
        ("hidden", "[2, 2]"),
        ("temperature", "'1..0.5'"),
        ("seed", "1"),
    ],
    free: &[
        "dataset",
        "data_dir",
        "estimator",
        "samples",
        "diagnose_every",
        "diagnose",
        "epochs",
        "batch_size",
        "lr",
        "kl_warmup",
        "checkpoint_every",
        "on_nan",
        "init_from",
    ],
    changed: &[("lr", "0.01"), ("batch_size", "400"), ("epochs", "2"), ("estimator", "'gengs-st'")],
    readers: &[
        |run| Loaded::<VaeTask>::read(run, "best", Device::Cpu, |_| ()).err(),
        |run| Session::<VaeTask>::resume(run, None, None, Device::Cpu).err(),
        |run| {
            let (folder, settings) = RunFolder::open::<TrainConfig>(run).unwrap();
            let found = weights::read_vae(&settings, &folder.file("best.safetensors"), Device::Cpu);
            found.and_then(|found| found.check_run(&settings)).err()
        },
    ],
    commands: &[
        "eval --run RUN --importance-samples 1",
        "sample --run RUN --png OUT",
        "export --run RUN --torchscript OUT",
        "export --run RUN --safetensors OUT",
        "train --resume --out RUN",
        "eval --run RUN --importance-samples 1 --weights RUN/last.safetensors",
    ],
};

const WORDS: Edited = Edited {
    program: "gengs-topics",
    training: &["--topics", "2", "--hidden", "2", "--corpus", "words.ldac"],
    bound: &[
        ("topics", "[2, 1]"),
        ("family", "'geometric'"),
        ("inference", "'implicit'"),
        ("likelihood", "'poisson'"),
        ("prior", "3.0"),
        ("truncation", "25"),
        ("hidden", "3"),
        ("temperature", "0.5"),
        ("seed", "1"),
        ("split", "'every-tenth'"),
        ("test_share", "0.2"),
        ("validation_share", "0.2"),
        ("selects_by_counts", "true"),
        ("text.segmentation", "'letters'"),
        ("text.lower_case", "false"),
        ("text.min_letters", "2"),
        ("text.stop_words", "false"),
        ("text.min_documents", "2"),
        ("text.max_share", "0.75"),
        ("text.max_words", "100"),
    ],
    free: &[
        "estimator",
        "corpus",
        "data_dir",
        "store",
        "text_column",
        "id_column",
        "header",
        "quotes",
        "dropout",
        "word_dropout",
        "gain",
        "vocabulary_sample",
        "decay",
        "separation",
        "epochs",
        "batch_size",
        "lr",
        "kl_warmup",
        "upper_warmup",
        "checkpoint_every",
        "on_nan",
        "no_text",
        "init_from",
    ],
    changed: &[("lr", "0.01"), ("batch_size", "7"), ("epochs", "2"), ("no_text", "true")],
    readers: &[
        |run| Loaded::<TopicsTask>::read(run, "best", Device::Cpu, |_| ()).err(),
        |run| Session::<TopicsTask>::resume(run, None, None, Device::Cpu).err(),
        |run| TrainedTopics::load(run, "best", Device::Cpu).err(),
        |run| TopicsShown::read(&RunFolder::open::<TopicsTrainConfig>(run).unwrap().0, "best").err(),
        |run| {
            let (folder, settings) = RunFolder::open::<TopicsTrainConfig>(run).unwrap();
            let found = weights::read_topics(&settings, &folder.file("best.safetensors"), Device::Cpu);
            found.and_then(|found| found.check_run(&settings)).err()
        },
    ],
    commands: &[
        "eval --run RUN --importance-samples 1",
        "topics --run RUN",
        "tree --run RUN --html OUT",
        "infer --run RUN --input new.txt",
        "export --run RUN --torchscript OUT",
        "export --run RUN --safetensors OUT",
        "train --resume --out RUN",
        "eval --run RUN --importance-samples 1 --corpus new.txt",
        "eval --run RUN --importance-samples 1 --weights RUN/last.safetensors",
    ],
};

/// The names of settings, as they stand in a file.
fn names<S: DeserializeOwned>() -> Vec<String> {
    let Err(error) = toml::from_str::<S>("no_setting = 1") else { panic!("any name is a setting") };
    let message = error.message().to_string();
    let names: Vec<String> = message.split('`').skip(3).step_by(2).map(String::from).collect();
    assert!(message.contains("unknown field `no_setting`, expected one of") && names.len() > 5, "{message}");
    names
}

/// A setting is bound or free: who adds one says which.
#[test]
fn every_setting_is_bound_to_the_weights_or_free() {
    fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
    fn check<S: Settings>(case: &Edited, all: Vec<String>, tables: &[&str]) {
        let listed = case.bound.iter().map(|(name, _)| *name).chain(case.free.iter().copied()).map(String::from);
        assert_eq!(sorted(listed), sorted(all.into_iter()), "{}", case.program);
        let bound = case.bound.iter().map(|(name, _)| *name).filter(|name| !name.contains('.'));
        let named = S::BOUND.of_model.iter().chain(S::BOUND.of_run).copied();
        assert_eq!(sorted(bound.chain(tables.iter().copied()).map(String::from)), sorted(named.map(String::from)));
    }
    check::<TrainConfig>(&IMAGES, names::<TrainConfig>(), &[]);
    let of_text = names::<TextRules>().into_iter().map(|name| format!("text.{name}"));
    let all = names::<TopicsTrainConfig>().into_iter().filter(|name| name != "text").chain(of_text);
    check::<TopicsTrainConfig>(&WORDS, all.collect(), &["text"]);
}

/// Settings with others in place of some.
fn edited(config: &str, changes: &[(&str, &str)]) -> String {
    let mut config: toml::Table = config.parse().unwrap();
    for (name, value) in changes {
        let value = format!("value = {value}").parse::<toml::Table>().unwrap().remove("value").unwrap();
        let (table, name) = match name.split_once('.') {
            Some((table, name)) => (config[table].as_table_mut().unwrap(), name),
            None => (&mut config, *name),
        };
        assert_ne!(table.insert(name.into(), value.clone()), Some(value), "{name} has this value already");
    }
    config.to_string()
}

/// Edits settings of a run in a home of its own, and gives them to the commands.
fn edit(case: &Edited) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    // No two documents are alike: some are held out.
    let documents = (1..60).map(|i| format!("2 0:{i} 1:{}\n2 1:{i} 2:2\n", 1 + i % 7));
    fs::write(home.join("words.ldac"), documents.collect::<String>()).unwrap();
    fs::write(home.join("words.vocab"), "red\ngreen\nblue\n").unwrap();
    fs::write(home.join("new.txt"), "red blue\n").unwrap();
    let settings = ["train", "--epochs", "1", "--quiet", "--device", "cpu", "--out", "run"];
    let output = run(case.program, home, &[&settings[..], case.training].concat());
    assert!(output.status.success(), "{output:?}");
    let path = home.join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    // The lock holds the number of the last process that had it.
    let kept = || all(home).into_iter().filter(|(path, _)| !path.ends_with("lock")).collect::<Vec<_>>();
    // Those of the run come after those of the model.
    let place = |setting: &str| case.bound.iter().position(|(name, _)| *name == setting).unwrap();
    let (family, temperature) = (place("family"), place("temperature"));
    let refused = |said: &str, setting: &str, value: &str| {
        let trained = ["with", "without"].iter().any(|how| said.contains(&format!("trained {how} {setting}")));
        assert!(trained && said.contains(&format!(", but config.toml says {}: ", value.trim_matches('\''))), "{said}");
    };
    for (i, (setting, value)) in case.bound.iter().enumerate() {
        fs::write(&path, edited(&config, &[(*setting, *value)])).unwrap();
        let before = kept();
        for read in case.readers {
            let error = read(&home.join("run")).unwrap_or_else(|| panic!("{setting} is believed"));
            assert!(matches!(error, Error::OtherSettings { .. }), "{setting}: {error}");
            refused(&error.to_string(), setting, value);
        }
        // The family goes to every command, and what is no part of the model to those that take the weights as from any
        // file; in a thorough run, every setting to every command.
        let from_file = |line: &str| i == temperature && (line.starts_with("sample") || line.starts_with("export"));
        for line in case.commands.iter().filter(|line| i == family || from_file(line) || is_thorough()) {
            if line.contains("--weights") && i >= temperature {
                // The weights may be those of another run.
                continue;
            }
            let line = line.replace("RUN", "run").replace("OUT", "out");
            let output = run(case.program, home, &line.split(' ').collect::<Vec<_>>());
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{setting} {line}: {text}");
            let said = text.lines().filter(|line| !line.contains("make this command read")).collect::<Vec<_>>();
            let [said] = said[..] else { panic!("{setting} {line}: {text}") };
            assert!(said.starts_with("error: run/"), "{setting} {line}: {said}");
            refused(said, setting, value);
        }
        assert!(kept() == before, "{setting}");
    }
    fs::write(&path, edited(&config, case.changed)).unwrap();
    for line in ["train --resume --out run --quiet", "eval --run run --importance-samples 1 --checkpoint last"] {
        let output = run(case.program, home, &line.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

#[test]
fn an_edited_setting_gives_the_weights_of_images_no_other_meaning() {
    edit(&IMAGES);
}

#[test]
fn an_edited_setting_gives_the_weights_of_topics_no_other_meaning() {
    edit(&WORDS);
}
