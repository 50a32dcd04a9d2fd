//! Training through the library: it learns, checkpoints are whole, a stopped run goes on as if it had not been stopped.

use crate::common::{LATENT_FAMILIES, forget_settings, seeded};
use gengs::models::Inference;
use gengs::training::{Checkpoint, Control, EpochRecord, METRICS, RunFolder, Session, TrainConfig, VaeTask, evaluate};
use std::path::Path;
use tch::Device;

/// An idx file of 60 small pictures: bars, upright or lying.
fn bars(folder: &Path) -> String {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 6, 0, 0, 0, 6];
    for i in 0..60usize {
        bytes.extend((0..36).map(|p| if (if i % 2 == 0 { p / 6 } else { p % 6 }) == i / 2 % 6 { 255u8 } else { 0 }));
    }
    let path = folder.join("bars-idx3-ubyte");
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn config(folder: &Path) -> TrainConfig {
    TrainConfig {
        dataset: bars(folder),
        latents: 4,
        hidden: vec![16],
        epochs: 4,
        batch_size: 10,
        lr: 1e-2,
        inference: Inference::Implicit,
        seed: 3,
        ..TrainConfig::default()
    }
}

fn go(_: &gengs::training::StepReport) -> Control {
    Control::Continue
}

#[test]
fn training_lowers_the_loss_for_every_family() {
    let _guard = seeded(0);
    let folder = tempfile::tempdir().unwrap();
    for family in LATENT_FAMILIES {
        for inference in [Inference::Explicit, Inference::Implicit] {
            let config = TrainConfig { family, inference, epochs: 30, ..config(folder.path()) };
            let out = folder.path().join(format!("{family:?}-{inference:?}"));
            let mut session = Session::<VaeTask>::start(config, &out, Device::Cpu).unwrap();
            session.run(go, |_| ()).unwrap();
            let records = session.records();
            let (first, last) = (records[0], records[29]);
            assert!(
                last.train_neg_elbo_relaxed < first.train_neg_elbo_relaxed - 4.0,
                "{family:?} {inference:?}: {first:?} {last:?}"
            );
            assert!(
                last.validation_neg_elbo < first.validation_neg_elbo,
                "{family:?} {inference:?}: {first:?} {last:?}"
            );
        }
    }
}

#[test]
fn a_run_leaves_its_folder_and_evaluates_the_same_every_time() {
    let _guard = seeded(0);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = config(folder.path());
    let mut session = Session::<VaeTask>::start(config.clone(), &out, Device::Cpu).unwrap();
    assert_eq!(session.run(go, |_| ()).unwrap(), Control::Continue);
    for name in
        ["config.toml", "metrics.jsonl", "last.safetensors", "best.safetensors", "samples.png", "reconstructions.png"]
    {
        assert!(out.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let (run, read) = RunFolder::open::<TrainConfig>(&out).unwrap();
    assert_eq!(read, config);
    assert_eq!(run.records::<EpochRecord>(METRICS).unwrap(), session.records());

    let (task, _) = Session::<VaeTask>::load(&out, "best", None, Device::Cpu).unwrap();
    let evaluation = || evaluate(task.vae(), &task.data().test, 20, 0.3, 5, 1).unwrap();
    let first = evaluation();
    assert_eq!(first, evaluation());
    assert_eq!(first.examples, 6);
    assert!((first.neg_elbo - first.reconstruction - first.kl).abs() < 1e-9);
    assert!(first.neg_iwae < first.neg_elbo, "{first:?}");
    // Intensities are binarised once, whatever the batches and the seed: the KL is exact, and that of the same images.
    for (batch, seed) in [(1, 1), (4, 2), (6, 3)] {
        let other = evaluate(task.vae(), &task.data().test, 20, 0.3, batch, seed).unwrap();
        assert!((other.kl - first.kl).abs() < 1e-6 * first.kl.abs(), "{other:?} {first:?}");
    }

    // A session holds its folder.
    drop(session);
    let again = Session::<VaeTask>::start(config, &out, Device::Cpu).unwrap_err().to_string();
    assert!(again.contains("already holds a run (config.toml)"), "{again}");
}

#[test]
fn damaged_checkpoints_are_errors() {
    let _guard = seeded(0);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    Session::<VaeTask>::start(config(folder.path()), &out, Device::Cpu).unwrap();
    let path = out.join("last.safetensors");
    let whole = std::fs::read(&path).unwrap();
    assert!(Checkpoint::read(&path).is_ok());
    for length in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let message = Checkpoint::read(&path).unwrap_err().to_string();
        assert!(
            message.contains("last.safetensors") && message.contains("not a whole checkpoint"),
            "{length}: {message}"
        );
    }
    let mut enormous = whole.clone();
    enormous[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, enormous).unwrap();
    assert!(Checkpoint::read(&path).is_err());
    let resumed = Session::<VaeTask>::resume(&out, None, None, Device::Cpu).unwrap_err().to_string();
    assert!(resumed.contains("not a whole checkpoint"), "{resumed}");
}

#[test]
fn a_checkpoint_of_another_model_is_refused_whole() {
    let _guard = seeded(0);
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    Session::<VaeTask>::start(config(folder.path()), &small, Device::Cpu).unwrap();
    let wide = TrainConfig { hidden: vec![17], ..config(folder.path()) };
    Session::<VaeTask>::start(wide, &large, Device::Cpu).unwrap();
    std::fs::copy(small.join("last.safetensors"), large.join("last.safetensors")).unwrap();
    let resume = || Session::<VaeTask>::resume(&large, None, None, Device::Cpu).unwrap_err().to_string();
    let message = resume();
    assert!(message.contains("its weights were trained with hidden [16], but config.toml says [17]"), "{message}");
    forget_settings(&large.join("last.safetensors"));
    let message = resume();
    assert!(message.contains("decoder.0.bias") && message.contains("[16]") && message.contains("[17]"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let _guard = seeded(0);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut session = Session::<VaeTask>::start(config(folder.path()), &out, Device::Cpu).unwrap();
    // Weights that are finite, and whose sums are not.
    for (_, mut weight) in session.task().vae().parameters() {
        let _ = tch::no_grad(|| weight.fill_(1e38));
    }
    let message = session.run(go, |_| ()).unwrap_err().to_string();
    assert!(message.contains("not finite at epoch 1"), "{message}");
    let checkpoint = Checkpoint::read(&out.join("last.safetensors")).unwrap();
    assert_eq!(checkpoint.progress().updates, 0);
}

#[test]
fn settings_out_of_range_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let good = config(folder.path());
    let wrong = [
        (TrainConfig { epochs: 0, ..good.clone() }, "epochs"),
        (TrainConfig { batch_size: 0, ..good.clone() }, "batch-size"),
        (TrainConfig { lr: f64::NAN, ..good.clone() }, "lr"),
        (TrainConfig { kl_warmup: -1.0, ..good.clone() }, "kl-warmup"),
        (TrainConfig { latents: 0, ..good.clone() }, "latents"),
        (TrainConfig { hidden: vec![8, 0], ..good.clone() }, "width"),
        (TrainConfig { dataset: "no-such-file".into(), ..good }, "no-such-file"),
    ];
    for (config, name) in wrong {
        let out = folder.path().join("run");
        let message = Session::<VaeTask>::start(config, &out, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        assert!(!out.exists());
    }
}
