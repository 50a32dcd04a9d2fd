//! Events for TensorBoard: the bytes, and, where `GENGS_PYTHON` names a Python with `tensorboard`, what TensorBoard makes of them.

use gengs::training::{Control, EventWriter, Interval, Session, StepReport, TrainConfig, VaeTask, grid_png};
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Device, Kind, Tensor};

/// The records of a file, their lengths followed, their checksums left to the byte-exact test and to TensorBoard.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut records) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        records.push(rest[12..12 + length].to_vec());
        rest = &rest[16 + length..];
    }
    records
}

fn events(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Made by TensorBoard's own protobuf classes and record writer: `tests/oracles/events.py`.
#[test]
fn a_scalar_is_written_as_tensorboard_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    writer.scalar("validation/-ELBO", 300, 1_750_000_000.25, -106.5).unwrap();
    writer.flush().unwrap();
    let bytes = std::fs::read(writer.path()).unwrap();
    // The first record holds the time of writing: 8 + 4 + 24 + 4 bytes.
    let expected = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scalar.tfevents")).unwrap();
    assert_eq!(bytes[40..], expected);
    let version = &records(writer.path())[0];
    assert!(version.ends_with(b"\x1a\x0dbrain.Event:2"), "{version:?}");
}

#[test]
fn each_writer_has_a_file_of_its_own_that_tensorboard_finds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new");
    let first = EventWriter::create(&folder).unwrap();
    let second = EventWriter::append(&folder, 7).unwrap();
    let names = events(&folder);
    assert_eq!(names, [first.path(), second.path()]);
    assert!(names[0].file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents."));
    assert_eq!((records(&names[0]).len(), records(&names[1]).len()), (1, 2));
    // Step 7, and a session that starts.
    assert!(records(&names[1])[1].ends_with(&[0x10, 7, 0x3a, 2, 8, 1]));
}

#[test]
fn what_is_no_picture_and_what_cannot_be_written_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    let message = writer.image("samples", 1, 0.0, b"GIF89a").unwrap_err().to_string();
    assert!(message.contains("picture 'samples' is 6 bytes, but must be a PNG"), "{message}");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let message = EventWriter::create(&file).unwrap_err().to_string();
    assert!(message.contains("cannot be made"), "{message}");
    // Nothing finite: nothing to draw.
    writer.histogram("rates", 1, 0.0, &Tensor::from_slice(&[f64::NAN, f64::INFINITY])).unwrap();
    writer.flush().unwrap();
    assert_eq!(records(writer.path()).len(), 1);
}

#[test]
fn tensorboard_reads_back_scalars_histograms_and_pictures_of_a_resumed_run() {
    let Some(python) = std::env::var_os("GENGS_PYTHON") else {
        println!("skipped, since GENGS_PYTHON names no Python with tensorboard");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    for step in 0..6 {
        writer.scalar("train/-ELBO", step, 1_750_000_000.0 + step as f64, 100.0 - step as f64).unwrap();
    }
    let float = (Kind::Float, Device::Cpu);
    writer.histogram("rates", 2, 1_750_000_002.0, &Tensor::from_slice(&[0.0f32, 1.0, 1.0, 4.0, f32::NAN])).unwrap();
    writer.histogram("constant", 2, 1_750_000_002.0, &Tensor::full([10], 3.0, float)).unwrap();
    writer.histogram("one", 2, 1_750_000_002.0, &Tensor::from(1e300)).unwrap();
    let png = grid_png(&Tensor::zeros([3, 12], float), (3, 4), 3).unwrap();
    writer.image("samples", 2, 1_750_000_002.0, &png).unwrap();
    writer.flush().unwrap();
    drop(writer);
    // The run was killed after step 5, and goes on from a checkpoint of step 4.
    let mut writer = EventWriter::append(folder.path(), 4).unwrap();
    for step in 4..8 {
        writer.scalar("train/-ELBO", step, 1_750_000_100.0 + step as f64, 50.0 - step as f64).unwrap();
    }
    writer.flush().unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/events.py");
    let output = Command::new(python).arg(script).arg("read").arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let steps: Vec<(i64, f64)> = serde_json::from_value(found["scalars"]["train/-ELBO"].clone()).unwrap();
    let expected = [(0, 100.0), (1, 99.0), (2, 98.0), (3, 97.0), (4, 46.0), (5, 45.0), (6, 44.0), (7, 43.0)];
    assert_eq!(steps, expected);
    let rates = &found["histograms"]["rates"];
    assert_eq!((&rates["num"], &rates["min"], &rates["max"]), (&4.0.into(), &0.0.into(), &4.0.into()));
    assert_eq!((&rates["sum"], &rates["sum_squares"]), (&6.0.into(), &18.0.into()));
    let counts: Vec<f64> = serde_json::from_value(rates["counts"].clone()).unwrap();
    let limits: Vec<f64> = serde_json::from_value(rates["limits"].clone()).unwrap();
    let filled: Vec<(f64, f64)> = limits.into_iter().zip(counts).filter(|(_, count)| *count > 0.0).collect();
    assert_eq!(filled, [(0.0625, 1.0), (1.0625, 2.0), (4.0, 1.0)]);
    assert_eq!(found["histograms"]["constant"]["counts"], serde_json::json!([10.0]));
    assert_eq!(found["histograms"]["one"]["limits"], serde_json::json!([1e300]));
    // Three pictures of 4 x 3 pixels in a row, with gaps of 2.
    assert_eq!(found["images"]["samples"], serde_json::json!([[2, 20, 7, png.len()]]));
}

/// A protobuf field: its number, and a number or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (number, rest) = bytes.split_at(length);
        *bytes = rest;
        number.iter().rev().fold(0, |whole, byte| whole << 7 | u64::from(byte & 0x7f))
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let (value, length) = match key & 7 {
            0 => (number(&mut bytes), 0),
            1 => (0, 8),
            2 => (0, number(&mut bytes) as usize),
            _ => (0, 4),
        };
        let (content, rest) = bytes.split_at(length);
        bytes = rest;
        found.push((key >> 3, value, content));
    }
    found
}

/// What TensorBoard shows of a folder: step, name and bytes of each value. A process that starts at a step hides what those before it wrote from there on; a record that
/// is cut off ends its file.
fn shown(folder: &Path) -> Vec<(u64, String, Vec<u8>)> {
    let mut shown: Vec<(u64, String, Vec<u8>)> = Vec::new();
    let events = events(folder).into_iter().filter(|path| path.to_string_lossy().contains("tfevents"));
    for path in events {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        while rest.len() >= 12 {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            if rest.len() < 16 + length {
                break;
            }
            let event = fields(&rest[12..12 + length]);
            let step = event.iter().find(|field| field.0 == 2).map_or(0, |field| field.1);
            if event.iter().any(|field| field.0 == 7) {
                shown.retain(|(earlier, ..)| *earlier < step);
            }
            for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
                let value = fields(fields(summary)[0].2);
                let name = String::from_utf8(value[0].2.to_vec()).unwrap();
                shown.push((step, name, value[1].2.to_vec()));
            }
            rest = &rest[16 + length..];
        }
    }
    shown
}

#[test]
fn a_killed_and_resumed_run_shows_what_an_undisturbed_one_shows() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("images");
    // Thirty images of four by four pixels, of which 24 are trained on.
    let header = [0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 4, 0, 0, 0, 4];
    std::fs::write(&dataset, [&header[..], &(0..480).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>()].concat())
        .unwrap();
    let config = TrainConfig {
        dataset: dataset.display().to_string(),
        latents: 3,
        hidden: vec![5],
        epochs: 3,
        batch_size: 1,
        checkpoint_every: Interval::Epochs(100),
        ..TrainConfig::default()
    };
    let path = |name: &str| folder.path().join(name);
    let go_to = |session: gengs::Result<Session<VaeTask>>, steps: usize| {
        let mut session = session.unwrap();
        let made = |report: &StepReport| (report.epoch - 1) * report.steps + report.step;
        let stop = |report: &StepReport| if made(report) < steps { Control::Continue } else { Control::Stop };
        session.run(stop, |_| ()).unwrap();
    };
    let resume = || Session::<VaeTask>::resume(&path("killed"), None, None, Device::Cpu);
    go_to(Session::start(config.clone(), &path("whole"), Device::Cpu), 1000);

    go_to(Session::start(config, &path("killed"), Device::Cpu), 30);
    let kept =
        ["last.safetensors", "best.safetensors"].map(|name| (name, std::fs::read(path("killed").join(name)).unwrap()));
    go_to(resume(), 61);
    // As if the second process had been killed, in the middle of a record: the first one's checkpoint is the last.
    let _ = kept.map(|(name, bytes)| std::fs::write(path("killed").join(name), bytes).unwrap());
    let of_second =
        events(&path("killed")).into_iter().rfind(|path| path.to_string_lossy().contains("tfevents")).unwrap();
    let torn = std::fs::read(&of_second).unwrap();
    std::fs::write(&of_second, &torn[..torn.len() - 9]).unwrap();
    go_to(resume(), 1000);

    let (mut whole, mut killed) = (shown(&path("whole")), shown(&path("killed")));
    // Seconds are the machine's.
    for events in [&mut whole, &mut killed] {
        events.retain(|(_, name, _)| name != "epoch/seconds");
    }
    assert_eq!(killed, whole);
    let steps = |name: &str| -> Vec<u64> {
        whole.iter().filter(|(_, found, _)| found == name).map(|(step, ..)| *step).collect()
    };
    assert_eq!(steps("step/kl"), [10, 20, 34, 44, 58, 68]);
    for name in ["epoch/validation_neg_elbo", "posterior/mean", "pictures/samples", "pictures/reconstructions"] {
        assert_eq!(steps(name), [24, 48, 72], "{name}");
    }

    let Some(python) = std::env::var_os("GENGS_PYTHON") else {
        println!("TensorBoard was not asked, since GENGS_PYTHON names no Python with it");
        return;
    };
    let read = |name: &str| -> serde_json::Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/events.py");
        let output = Command::new(&python).arg(script).arg("read").arg(path(name)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        found["scalars"].as_object_mut().unwrap().remove("epoch/seconds");
        found
    };
    assert_eq!(read("killed"), read("whole"));
    let steps: Vec<(u64, f64)> = serde_json::from_value(read("killed")["scalars"]["step/kl"].clone()).unwrap();
    assert_eq!(steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [10, 20, 34, 44, 58, 68]);
}
