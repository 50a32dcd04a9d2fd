//! Runs that survive: the binary, killed, filled up, started twice, with damaged files. `docs/survive.md` says what is promised.
#![cfg(all(feature = "cli", unix))]

use crate::common::forget_settings;
use gengs::training::{Checkpoint, EpochRecord, METRICS, RunFolder, TrainConfig};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A program that trains, and settings of a run of some seconds on data that is built in.
struct Program {
    name: &'static str,
    small: &'static [&'static str],
}

const VAE: Program = Program { name: "gengs-vae", small: &["--hidden", "32", "--latents", "8"] };
const TOPICS: Program =
    Program { name: "gengs-topics", small: &["--hidden", "32", "--topics", "8,3", "--batch-size", "50"] };

impl Program {
    /// `threads` of libtorch.
    fn train(&self, threads: u32) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin(self.name));
        command.env_remove("GENGS_DATA").env("OMP_NUM_THREADS", threads.to_string());
        command.args(["train", "--device", "cpu", "--quiet", "--threads", &threads.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn new_run(&self, threads: u32, out: &Path, more: &[&str]) -> Command {
        let mut command = self.train(threads);
        command.args(self.small).args(more).arg("--out").arg(out);
        command
    }

    fn resumed(&self, threads: u32, out: &Path) -> Command {
        let mut command = self.train(threads);
        command.arg("--resume").arg("--out").arg(out);
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

/// The one sentence of a failure.
fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// Names, shapes and bytes of a checkpoint's tensors.
fn tensors(path: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all = file.iter().map(|(name, view)| (name.to_string(), view.shape().to_vec(), view.data().to_vec()));
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

/// Everything that a run leaves and that does not tell of time.
fn left(out: &Path) -> impl PartialEq + std::fmt::Debug + use<> {
    let records = std::fs::read_to_string(out.join(METRICS)).unwrap();
    let records = records.lines().map(|line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["seconds"].take();
        record
    });
    let records: Vec<_> = records.collect();
    let hash = |name: &str| -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        tensors(&out.join(name)).iter().for_each(|(name, shape, bytes)| {
            hasher.update(format!("{name} {shape:?}").as_bytes());
            hasher.update(bytes);
        });
        hasher.finalize()
    };
    let beside =
        ["samples.png", "vocabulary.txt"].map(|name| std::fs::read(out.join(name)).ok().map(|b| crc32fast::hash(&b)));
    assert!(beside.iter().any(Option::is_some), "a finished run has pictures or a vocabulary");
    (records, hash("last.safetensors"), hash("best.safetensors"), beside)
}

fn updates(out: &Path) -> Option<i64> {
    Some(Checkpoint::read(&out.join("last.safetensors")).ok()?.progress().updates)
}

/// Waits until a run has saved more updates than so many.
fn wait_beyond(out: &Path, before: i64, child: &mut Child) -> i64 {
    let start = Instant::now();
    loop {
        if let Some(updates) = updates(out).filter(|&updates| updates > before) {
            return updates;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        assert!(start.elapsed() < Duration::from_secs(300), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Numbers that no two runs of the test share, as the moments of a kill should be.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// Kills one training so many times, at random moments, and compares what it leaves with what an undisturbed one leaves.
fn kill(program: &Program, times: usize, threads: u32, epochs: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let settings = ["--epochs", epochs, "--checkpoint-every", "7 steps"];
    let clock = Instant::now();
    succeed(&mut program.new_run(threads, &path("whole"), &settings));
    let total = updates(&path("whole")).unwrap();

    let mut killed = 0;
    let mut child = program.new_run(threads, &path("killed"), &settings).spawn().unwrap();
    while killed < times {
        // One in five somewhere in the first second, while libtorch loads and files are opened; the others spread over the training.
        if random().is_multiple_of(5) {
            std::thread::sleep(Duration::from_millis(random() % 1000));
        } else {
            let target = total * (killed as i64 + 1) / (times as i64 + 2);
            while updates(&path("killed")).is_none_or(|updates| updates < target) && child.try_wait().unwrap().is_none()
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            std::thread::sleep(Duration::from_micros(random() % 50_000));
        }
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
        let again = path("killed").join("config.toml").exists();
        let mut command = if again {
            program.resumed(threads, &path("killed"))
        } else {
            program.new_run(threads, &path("killed"), &settings)
        };
        child = command.spawn().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "a kill damages nothing: {output:?}");
    assert_eq!(left(&path("killed")), left(&path("whole")));
    println!(
        "{}: {killed} kills at {threads} threads, {epochs} epochs: the same bits ({:.0} s)",
        program.name,
        clock.elapsed().as_secs_f64()
    );
    assert_eq!(killed, times, "the run ended before it was killed so often");
}

#[test]
fn a_run_killed_four_times_ends_with_the_bits_of_one_that_was_not() {
    kill(&VAE, 4, 1, "6");
    kill(&TOPICS, 4, 1, "40");
}

#[test]
#[ignore = "some minutes: 50 kills of each program at one thread, 50 at two"]
fn a_run_killed_fifty_times_ends_with_the_bits_of_one_that_was_not() {
    for threads in [1, 2] {
        kill(&VAE, 50, threads, "30");
        kill(&TOPICS, 50, threads, "150");
    }
}

/// The vector instructions that libtorch's kernels may be told to use, as far as this machine has them.
fn capabilities() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let has = |name: &str| match name {
        "avx2" => std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma"),
        "avx512" => {
            let found = ["avx512f", "avx512dq", "avx512bw", "avx512vl"].map(|feature| match feature {
                "avx512f" => std::arch::is_x86_feature_detected!("avx512f"),
                "avx512dq" => std::arch::is_x86_feature_detected!("avx512dq"),
                "avx512bw" => std::arch::is_x86_feature_detected!("avx512bw"),
                _ => std::arch::is_x86_feature_detected!("avx512vl"),
            });
            found.into_iter().all(|found| found)
        }
        _ => true,
    };
    #[cfg(not(target_arch = "x86_64"))]
    let has = |name: &str| name == "default";
    let (here, skipped): (Vec<_>, Vec<_>) = ["default", "avx2", "avx512"].into_iter().partition(|name| has(name));
    skipped.iter().for_each(|name| println!("skipped: this machine has no {name}"));
    here
}

#[test]
fn at_two_threads_a_stopped_run_goes_on_with_the_same_bits() {
    let settings = ["--epochs", "2", "--hidden", "201", "--batch-size", "227", "--checkpoint-every", "3 steps"];
    for capability in capabilities() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        succeed(VAE.new_run(2, &path("whole"), &settings).env("ATEN_CPU_CAPABILITY", capability));
        let mut command = VAE.new_run(2, &path("stopped"), &settings);
        let mut child = command.env("ATEN_CPU_CAPABILITY", capability).spawn().unwrap();
        wait_beyond(&path("stopped"), 5, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        succeed(VAE.resumed(2, &path("stopped")).env("ATEN_CPU_CAPABILITY", capability));
        assert_eq!(left(&path("stopped")), left(&path("whole")), "{capability}");
    }
}

/// Sizes that fill no vector, so that each part of a kernel's work has an end of its own.
#[test]
fn topics_are_the_same_bits_on_one_thread_and_on_two() {
    let all = [
        &["--topics", "200", "--likelihood", "poisson", "--batch-size", "301"][..],
        &["--topics", "53,11", "--batch-size", "187", "--hidden", "131"],
        &["--topics", "21,7,5", "--likelihood", "multinomial", "--vocabulary-sample", "1000", "--batch-size", "99"],
        &["--topics", "51", "--family", "negative-binomial", "--inference", "implicit", "--batch-size", "187"],
    ];
    for capability in capabilities() {
        for settings in all {
            let folder = tempfile::tempdir().unwrap();
            let runs = [1, 2].map(|threads| {
                let out = folder.path().join(threads.to_string());
                let mut command = TOPICS.train(threads);
                command.env("ATEN_CPU_CAPABILITY", capability).args(["--epochs", "1"]).args(settings);
                succeed(command.arg("--out").arg(&out));
                left(&out)
            });
            assert_eq!(runs[0], runs[1], "{capability} {settings:?}");
        }
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_second_process_is_refused_readers_are_not_and_signals_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let settings = ["--epochs", "2000", "--checkpoint-every", "0.05"];
    let mut child = VAE.new_run(1, &out, &settings).spawn().unwrap();
    wait_beyond(&out, 50, &mut child);
    let message = format!("process {} trains in it", child.id());
    for mut second in [VAE.resumed(1, &out), VAE.new_run(1, &out, &settings)] {
        let found = failure(&mut second);
        assert!(found.contains(&message), "{found}");
    }
    let run = out.to_str().unwrap();
    let png = folder.path().join("grid.png");
    let exported = folder.path().join("vae.safetensors");
    for reader in [
        vec!["eval", "--run", run, "--importance-samples", "2", "--checkpoint", "last"],
        vec!["sample", "--run", run, "--png", png.to_str().unwrap()],
        vec!["export", "--run", run, "--safetensors", exported.to_str().unwrap()],
    ] {
        let binary = assert_cmd::cargo::cargo_bin("gengs-vae");
        let output = Command::new(binary).env_remove("GENGS_DATA").args(&reader).output().unwrap();
        assert!(output.status.success(), "{reader:?}: {output:?}");
    }
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");

    // After a SIGKILL nobody has to remove a lock.
    child.kill().unwrap();
    child.wait().unwrap();
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let before = updates(&out).unwrap();
        let mut child = VAE.resumed(1, &out).spawn().unwrap();
        wait_beyond(&out, before, &mut child);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

/// A run with a checkpoint of its second epoch, its folder, and what it would leave in the end.
fn stopped_run(folder: &Path) -> PathBuf {
    let out = folder.join("run");
    succeed(&mut VAE.new_run(1, &out, &["--epochs", "2", "--checkpoint-every", "1 epoch"]));
    out
}

#[test]
fn a_full_disk_is_a_sentence_and_the_old_checkpoint_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = stopped_run(folder.path());
    let before = std::fs::read(out.join("last.safetensors")).unwrap();
    // No file may grow beyond half a checkpoint, in blocks of 1,024 bytes.
    let limit = before.len() / 2048;
    let binary = assert_cmd::cargo::cargo_bin("gengs-vae");
    let mut limited = Command::new("bash");
    limited.env_remove("GENGS_DATA").stdout(Stdio::null());
    limited.args(["-c", &format!("ulimit -f {limit}; exec \"$0\" \"$@\"")]).arg(binary);
    limited.args(["train", "--threads", "1", "--quiet", "--resume", "--epochs", "3", "--out"]).arg(&out);
    let message = failure(&mut limited);
    assert!(
        message.contains("safetensors") && message.contains("cannot be written") && message.contains("File too large"),
        "{message}"
    );
    assert!(message.contains("the one before it is kept"), "{message}");
    assert_eq!(std::fs::read(out.join("last.safetensors")).unwrap(), before);
    let names = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.ends_with(".tmp")));
    succeed(VAE.resumed(1, &out).args(["--epochs", "3"]));
    // The longer run is the run's from now on.
    assert_eq!(RunFolder::open::<TrainConfig>(&out).unwrap().1.epochs, 3);
}

#[test]
#[ignore = "mounts a small tmpfs, which only root may"]
fn a_full_file_system_is_a_sentence_and_the_old_checkpoint_stays() {
    let folder = tempfile::tempdir().unwrap();
    let out = stopped_run(folder.path());
    let before = std::fs::read(out.join("last.safetensors")).unwrap();
    let mount = folder.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    // Room for the run, and for half a checkpoint beside it.
    let files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    let blocks = files.iter().map(|path| path.metadata().unwrap().len().div_ceil(4096) * 4);
    let size = format!("size={}k", blocks.sum::<u64>() + before.len() as u64 / 2048);
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&mount).status().unwrap();
    assert!(mounted.success());
    let small = mount.join("run");
    std::fs::create_dir(&small).unwrap();
    for path in files.iter().filter(|path| path.is_file()) {
        std::fs::copy(path, small.join(path.file_name().unwrap())).unwrap();
    }
    let message = failure(VAE.resumed(1, &small).args(["--epochs", "3"]));
    let kept = std::fs::read(small.join("last.safetensors")).unwrap();
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    println!("{message}");
    assert!(message.contains("No space left"), "{message}");
    assert_eq!(kept, before);
}

#[test]
fn a_folder_that_cannot_be_written_is_a_sentence() {
    let message = failure(&mut VAE.new_run(1, Path::new("/proc/run"), &["--epochs", "1"]));
    assert!(message.contains("/proc/run") && message.contains("cannot be"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let message = failure(&mut VAE.new_run(1, &folder.path().join("file"), &["--epochs", "1"]));
    assert!(message.contains("cannot be made"), "{message}");
}

#[test]
fn damaged_checkpoints_are_noticed_and_the_other_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--epochs", "6", "--checkpoint-every", "1 epoch"];
    let whole = folder.path().join("whole");
    succeed(&mut VAE.new_run(1, &whole, &settings));
    let expected = left(&whole);
    let copy = |name: &str| {
        let out = folder.path().join(name);
        std::fs::create_dir(&out).unwrap();
        for entry in std::fs::read_dir(&whole).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, out.join(path.file_name().unwrap())).unwrap();
        }
        out
    };
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() - 1000;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let truncate = |path: &Path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap();
    let (last, best) = ("last.safetensors", "best.safetensors");

    let out = copy("no-last");
    truncate(&out.join(last));
    let warning = succeed(&mut VAE.resumed(1, &out));
    assert!(warning.starts_with("warning: ") && warning.contains(last), "{warning}");
    assert!(
        warning.contains("not a whole checkpoint") && warning.contains("continues from best.safetensors"),
        "{warning}"
    );
    assert_eq!(left(&out), expected);

    let out = copy("flipped");
    flip(&out.join(last));
    let warning = succeed(&mut VAE.resumed(1, &out));
    assert!(warning.contains("checksum"), "{warning}");
    assert_eq!(left(&out), expected);

    let out = copy("no-best");
    std::fs::remove_file(out.join(best)).unwrap();
    let warning = succeed(VAE.resumed(1, &out).args(["--epochs", "7"]));
    assert!(warning.contains(best) && warning.contains("writes best.safetensors anew"), "{warning}");
    assert_eq!(Checkpoint::read(&out.join(best)).unwrap().progress().epochs, 7);

    let out = copy("neither");
    truncate(&out.join(last));
    flip(&out.join(best));
    let message = failure(&mut VAE.resumed(1, &out));
    assert!(message.contains(last) && message.contains(best) && message.contains("neither checkpoint"), "{message}");
}

/// Wherever weights are taken from a checkpoint, it is whole, or is refused.
#[test]
fn a_damaged_checkpoint_is_no_source_of_weights() {
    let folder = tempfile::tempdir().unwrap();
    let out = stopped_run(folder.path());
    let best = out.join("best.safetensors");
    let whole = std::fs::read(&best).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (run, file) = (out.to_str().unwrap(), best.to_str().unwrap());
    let of_weights = |what: &[u8], replacement: &[u8]| {
        let at = whole.windows(what.len()).position(|window| window == what).unwrap();
        [&whole[..at], replacement, &whole[at + what.len()..]].concat()
    };
    let mut flipped = whole.clone();
    let at = flipped.len() - 1000;
    flipped[at] ^= 1;
    for (bytes, said) in
        [(flipped, "checksum is another"), (of_weights(b"gengs.crc32", b"gengs.crc33"), "checksum is missing")]
    {
        std::fs::write(&best, bytes).unwrap();
        for arguments in [
            vec!["eval", "--run", run, "--importance-samples", "2"],
            vec!["eval", "--run", run, "--importance-samples", "2", "--weights", file],
            vec!["sample", "--run", run, "--png", &path("grid.png")],
            vec!["export", "--run", run, "--safetensors", &path("a.safetensors")],
            vec!["export", "--run", run, "--torchscript", &path("a.pt")],
            vec!["train", "--hidden", "32", "--latents", "8", "--init-from", file, "--out", &path("other")],
        ] {
            let mut command = Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
            let message = failure(command.env_remove("GENGS_DATA").args(&arguments));
            assert!(message.contains(said) && message.contains("best.safetensors"), "{arguments:?}: {message}");
        }
    }
    for made in ["grid.png", "a.safetensors", "a.pt", "other"] {
        assert!(!Path::new(&path(made)).exists(), "{made}");
    }
    std::fs::remove_file(&best).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
    let message = failure(command.args(["export", "--run", run, "--safetensors", &path("a.safetensors")]));
    assert!(message.contains("take the other one with --checkpoint last"), "{message}");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
    succeed(command.args(["export", "--checkpoint", "last", "--run", run, "--safetensors", &path("a.safetensors")]));
}

/// A line of the records that cannot be read is lost, and no other; a best checkpoint of another model is told from the run's own.
#[test]
fn what_is_damaged_or_foreign_takes_nothing_else_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = stopped_run(folder.path());
    let metrics = out.join(METRICS);
    let text = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(&metrics, text.replacen('{', "{{", 1)).unwrap();
    let warning = succeed(VAE.resumed(1, &out).args(["--epochs", "3"]));
    assert!(warning.contains("holds 1 of the 2 epochs"), "{warning}");
    let kept: Vec<EpochRecord> = RunFolder::open::<TrainConfig>(&out).unwrap().0.records(METRICS).unwrap();
    assert_eq!(kept.iter().map(|record| record.epoch).collect::<Vec<_>>(), [2, 3]);

    let other = folder.path().join("other");
    let mut deeper = VAE.train(1);
    deeper.args(["--hidden", "16,16", "--latents", "8", "--epochs", "5", "--out"]).arg(&other);
    succeed(&mut deeper);
    std::fs::copy(other.join("best.safetensors"), out.join("best.safetensors")).unwrap();
    let warning = succeed(VAE.resumed(1, &out).args(["--epochs", "4"]));
    assert!(warning.contains("belongs to another model than last.safetensors"), "{warning}");
    assert_eq!(Checkpoint::read(&out.join("best.safetensors")).unwrap().progress().epochs, 4);

    // Of the same shapes, and another model.
    let mut other = VAE.train(1);
    let settings = ["--hidden", "32", "--latents", "8", "--epochs", "1", "--family", "geometric", "--out"];
    succeed(other.args(settings).arg(folder.path().join("geometric")));
    std::fs::copy(folder.path().join("geometric/best.safetensors"), out.join("best.safetensors")).unwrap();
    let warning = succeed(VAE.resumed(1, &out).args(["--epochs", "5"]));
    assert!(warning.contains("in its training family was geometric, and not poisson"), "{warning}");
}

#[test]
fn a_checkpoint_of_another_architecture_is_refused_with_the_first_difference() {
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    succeed(&mut VAE.new_run(1, &small, &["--epochs", "1"]));
    let mut other = VAE.train(1);
    other.args(["--hidden", "33", "--latents", "8", "--epochs", "1", "--out"]).arg(&large);
    succeed(&mut other);
    std::fs::copy(small.join("last.safetensors"), large.join("last.safetensors")).unwrap();
    let message = failure(&mut VAE.resumed(1, &large));
    assert!(message.contains("its weights were trained with hidden [32], but config.toml says [33]"), "{message}");
    // One of before does not know its settings.
    forget_settings(&large.join("last.safetensors"));
    let message = failure(&mut VAE.resumed(1, &large));
    // Of all names the first is that of Adam's averages for the first layer of the decoder that differs.
    assert!(message.contains("adam.exp_avg.decoder.0.bias has shape [32], but [33] in the model"), "{message}");

    let deeper = folder.path().join("deeper");
    let mut other = VAE.train(1);
    other.args(["--hidden", "32,32", "--latents", "8", "--epochs", "1", "--out"]).arg(&deeper);
    succeed(&mut other);
    std::fs::copy(large.join("last.safetensors"), deeper.join("last.safetensors")).unwrap();
    let message = failure(&mut VAE.resumed(1, &deeper));
    assert!(message.contains("tensor adam.exp_avg.decoder.2.bias has shape [784], but [32]"), "{message}");
}

#[test]
fn weights_of_a_file_start_a_run_that_does_not_need_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    succeed(&mut VAE.new_run(1, &path("first"), &["--epochs", "2"]));
    let best = path("first").join("best.safetensors");
    let exported = path("exported.safetensors");
    let mut export = Command::new(assert_cmd::cargo::cargo_bin("gengs-vae"));
    export.args(["export", "--quiet", "--run"]).arg(path("first")).arg("--safetensors").arg(&exported);
    succeed(&mut export);

    for (name, source) in [("whole", &exported), ("stopped", &exported), ("checkpoint", &best)] {
        let source = source.to_str().unwrap();
        let settings = ["--epochs", "3", "--checkpoint-every", "20 steps", "--init-from", source];
        let mut command = VAE.new_run(1, &path(name), &settings);
        if name == "stopped" {
            let mut child = command.spawn().unwrap();
            wait_beyond(&path(name), 20, &mut child);
            child.kill().unwrap();
            child.wait().unwrap();
            std::fs::remove_file(&exported).unwrap();
            succeed(&mut VAE.resumed(1, &path(name)));
        } else {
            succeed(&mut command);
        }
    }
    assert_eq!(left(&path("stopped")), left(&path("whole")));
    assert_eq!(left(&path("checkpoint")), left(&path("whole")));
    let (_, config) = RunFolder::open::<TrainConfig>(&path("whole")).unwrap();
    assert_eq!(config.init_from, Some(exported.clone()));
    // Trained weights are a better start than random ones.
    let first = |name: &str| {
        let (folder, _) = RunFolder::open::<TrainConfig>(&path(name)).unwrap();
        folder.records::<EpochRecord>(METRICS).unwrap()[0].train_neg_elbo_relaxed
    };
    assert!(first("whole") < first("first") - 50.0, "{} {}", first("whole"), first("first"));

    let mut narrow = VAE.train(1);
    narrow.args(["--hidden", "31", "--latents", "8", "--init-from"]).arg(&best).arg("--out").arg(path("narrow"));
    let message = failure(&mut narrow);
    assert!(message.contains("decoder.0.bias is [32] and not [31]"), "{message}");
    assert!(!path("narrow").exists());
}
