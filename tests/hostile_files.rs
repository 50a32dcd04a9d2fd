//! Damaged files of every kind that is read: idx, npz, checkpoints, weights, settings. No panic, no abort, and no more memory than ten times the file and 64 MiB.
//!
//! The allocator of this test counts what Rust code asks for; what libtorch asks for is bounded by the address space that the process may take.

use gengs::data::ImageSet;
use gengs::training::{Checkpoint, EpochRecord, METRICS, RunFolder, TrainConfig, read_settings, weights};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Cursor, Write};
use std::path::Path;
use tch::Device;

/// Counts the bytes that a thread holds, and the most that it has held.
struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    // At the end of a thread there is nothing left to count with.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes beyond ten times the file.
const ROOM: i64 = 64 << 20;

/// One to five changes: a bit, a byte, a run of bytes that are cut out, doubled or all set, an end that is cut off, a number that is made enormous.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..=5) {
        if bytes.is_empty() {
            return;
        }
        // Headers are at the beginning and, in archives, at the end.
        let at = match random.random_range(0..4) {
            0 => random.random_range(0..bytes.len()),
            1 => bytes.len() - 1 - random.random_range(0..bytes.len().min(200)),
            _ => random.random_range(0..bytes.len().min(300)),
        };
        let end = (at + random.random_range(1..=16)).min(bytes.len());
        match random.random_range(0..8) {
            0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.random(),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => bytes[at..end].fill(if random.random() { 0xff } else { 0 }),
            6 => bytes[at] = b"0123456789[]{}\",:=.-en"[random.random_range(0..22)],
            _ if random.random_range(0..8) == 0 => bytes.truncate(at),
            _ => bytes[at..end].rotate_left(1),
        }
    }
}

/// Reads so many mutations of files, in turn, and says how many were read and how many refused.
fn read_mutations(
    (what, name): (&str, &str),
    cases: usize,
    files: &[Vec<u8>],
    read: impl Fn(&Path) -> gengs::Result<()>,
) {
    // In memory, where the machine has such a folder: a million files are written and read.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().join(name);
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let (mut accepted, mut most) = (0, 0);
    let clock = std::time::Instant::now();
    for file in files {
        std::fs::write(&path, file).unwrap();
        read(&path).unwrap_or_else(|error| panic!("the whole file is not read: {error}"));
    }
    for case in 0..cases {
        let mut bytes = files[case % files.len()].clone();
        mutate(&mut bytes, &mut random);
        std::fs::write(&path, &bytes).unwrap();
        let before = HELD.get();
        MOST.set(before);
        let outcome = read(&path);
        let used = MOST.get() - before;
        assert!(used <= 10 * bytes.len() as i64 + ROOM, "{what} {case}: {used} bytes for a file of {}", bytes.len());
        most = most.max(used);
        match outcome {
            Ok(()) => accepted += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("mutated"), "{what} {case}: {text}");
                assert!(!text.contains("memory"), "{what} {case}: {text}");
            }
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    println!(
        "{what}: {cases} mutations in {seconds:.0} s, {accepted} read, {} refused, at most {most} bytes",
        cases - accepted
    );
}

/// Ten images of two by three pixels.
fn images() -> Vec<u8> {
    (0..60).map(|i| (i * 4) as u8).collect()
}

fn idx_files() -> Vec<Vec<u8>> {
    let plain = [&[0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 3][..], &images()].concat();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    vec![plain, encoder.finish().unwrap()]
}

/// An archive with ten images `x` of this type and order.
fn npz(kind: &str, order: &str, content: &[u8], method: zip::CompressionMethod) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': (10, 2, 3), }}");
    let text = format!("{text:<117}\n");
    let array =
        [b"\x93NUMPY\x01\x00".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes(), content].concat();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("x.npy", zip::write::FileOptions::default().compression_method(method)).unwrap();
    writer.write_all(&array).unwrap();
    writer.finish().unwrap().into_inner()
}

fn npz_files() -> Vec<Vec<u8>> {
    use zip::CompressionMethod::{Deflated, Stored};
    let of = |order, method| npz("|u1", order, &images(), method);
    vec![of("False", Stored), of("False", Deflated), of("True", Stored)]
}

/// Images of booleans, and of zeros and ones, are those of 0 and 255; what are no bytes is refused with the line of Python that makes them so.
#[test]
fn one_is_white_where_nothing_is_brighter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let ink: Vec<u8> = (0..60).map(|i| u8::from(i % 3 == 0)).collect();
    let white: Vec<u8> = ink.iter().map(|byte| byte * 255).collect();
    let read = |kind: &str, content: &[u8]| {
        std::fs::write(&path, npz(kind, "False", content, zip::CompressionMethod::Stored)).unwrap();
        let data = ImageSet::from_name(path.to_str().unwrap()).load(None)?;
        let batch = data.test.batch(&tch::Tensor::arange(data.test.len(), (tch::Kind::Int64, Device::Cpu)));
        Ok::<_, gengs::Error>(batch.sum(tch::Kind::Double).double_value(&[]))
    };
    let expected = read("|u1", &white).unwrap();
    assert!(expected > 0.0);
    assert_eq!(read("|b1", &ink).unwrap(), expected);
    assert_eq!(read("|u1", &ink).unwrap(), expected);
    for kind in ["|i1", "|S1"] {
        let message = read(kind, &white).unwrap_err().to_string();
        assert!(message.contains(kind) && message.contains("astype('uint8')"), "{message}");
    }
}

/// A small run's checkpoint, its settings and its records.
fn run_files() -> [Vec<u8>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("images");
    std::fs::write(&dataset, &idx_files()[0]).unwrap();
    let dataset = dataset.display().to_string();
    let config =
        TrainConfig { dataset, latents: 2, hidden: vec![3], epochs: 1, batch_size: 4, ..TrainConfig::default() };
    let out = folder.path().join("run");
    let mut session = gengs::training::Session::<gengs::training::VaeTask>::start(config, &out, Device::Cpu).unwrap();
    session.run(|_| gengs::training::Control::Continue, |_| ()).unwrap();
    ["last.safetensors", "config.toml", METRICS].map(|name| std::fs::read(out.join(name)).unwrap())
}

fn weight_files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| weights::read(path, Device::Cpu).is_ok();
    paths.into_iter().filter(read).map(|path| std::fs::read(path).unwrap()).collect()
}

/// A limit on the address space: a tensor of a damaged header's size is an error of libtorch that says "memory".
#[cfg(target_os = "linux")]
fn limit_memory() {
    let _warm = tch::Tensor::zeros([1 << 20], (tch::Kind::Float, Device::Cpu)).sum(tch::Kind::Float);
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = pages * 4096 + (512 << 20);
    // SAFETY: the limit is a plain structure that is read during the call.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_AS, &libc::rlimit { rlim_cur: limit, rlim_max: limit }) };
    assert_eq!(outcome, 0);
}

#[cfg(not(target_os = "linux"))]
fn limit_memory() {}

fn read_all(cases: usize) {
    let [checkpoint, settings, records] = run_files();
    limit_memory();
    let image_set = |path: &Path| ImageSet::File(path.into()).load(None).map(|_| ());
    read_mutations(("idx", "mutated"), cases, &idx_files(), image_set);
    read_mutations(("npz", "mutated.npz"), cases, &npz_files(), image_set);
    read_mutations(("checkpoint", "mutated"), cases, std::slice::from_ref(&checkpoint), |path| {
        Checkpoint::read(path).map(|_| ())
    });
    read_mutations(("weights", "mutated"), cases, &weight_files(), |path| weights::read(path, Device::Cpu).map(|_| ()));
    read_mutations(("settings", "mutated"), cases, &[settings], |path| read_settings::<TrainConfig>(path).map(|_| ()));
    read_mutations(("records", "mutated"), cases, &[records], |path| {
        std::fs::write(path.with_file_name("config.toml"), "").unwrap();
        let folder = path.parent().unwrap_or(path);
        let (run, _) = RunFolder::open::<TrainConfig>(folder)?;
        run.records::<EpochRecord>("mutated").map(|_| ())
    });
}

#[test]
fn damaged_files_are_read_or_are_errors() {
    read_all(4000);
}

#[test]
#[ignore = "some minutes in release: a million mutations of each kind of file"]
fn a_million_damaged_files_of_each_kind_are_read_or_are_errors() {
    read_all(1_000_000);
}
