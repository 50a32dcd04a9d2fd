//! Damaged files of every kind that is read: idx, npz, checkpoints, weights, settings. No panic, no abort, and no more memory than ten times the file and 64 MiB.
//!
//! The allocator of this test counts what Rust code asks for; what libtorch asks for is bounded by the address space that the process may take.

use super::memory::peak;
use gengs::data::{CorpusSet, ImageSet, TextRules};
use gengs::training::{
    Checkpoint, EpochRecord, METRICS, RunFolder, ShownImages, TopicsShown, TopicsTask, TopicsTrainConfig, TrainConfig,
    read_settings, weights,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use tch::Device;

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
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
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
        let (outcome, used) = peak(|| read(&path));
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

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Plain, gzipped, in two members, and of floating-point shares.
fn idx_files() -> Vec<Vec<u8>> {
    let header = |kind| [0, 0, kind, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 3];
    let plain = [&header(8)[..], &images()].concat();
    let shares = images().into_iter().flat_map(|byte| (f32::from(byte) / 255.0).to_be_bytes());
    let members = [gzipped(&plain[..30]), gzipped(&plain[30..])].concat();
    vec![plain.clone(), gzipped(&plain), members, header(0xd).into_iter().chain(shares).collect()]
}

/// An `.npy` of an array with this header.
fn npy(header: &str, content: &[u8]) -> Vec<u8> {
    let text = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(text.len() as u16).to_le_bytes(), text.as_bytes(), content].concat()
}

/// An archive of arrays.
fn zipped(arrays: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        writer
            .start_file(format!("{name}.npy"), zip::write::FileOptions::default().compression_method(method))
            .unwrap();
        writer.write_all(array).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn header(kind: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': ({shape}), }}")
}

/// An archive with ten images `x` of this type and order.
fn npz(kind: &str, order: &str, content: &[u8], method: zip::CompressionMethod) -> Vec<u8> {
    zipped(&[("x", npy(&header(kind, order, "10, 2, 3"), content))], method)
}

/// Ten images as 64-bit shares and integers.
fn wide() -> [Vec<u8>; 2] {
    let shares = images().into_iter().flat_map(|byte| (f64::from(byte) / 255.0).to_le_bytes()).collect();
    [shares, images().into_iter().flat_map(|byte| i64::from(byte).to_le_bytes()).collect()]
}

fn npz_files() -> Vec<Vec<u8>> {
    use zip::CompressionMethod::{Deflated, Stored};
    let of = |kind, order, method| npz(kind, order, &images(), method);
    let [shares, integers] = wide();
    let part = || npy(&header("|u1", "False", "10, 2, 3"), &images());
    let keras = zipped(&[("x_train", part()), ("y_train", b"not looked at".to_vec()), ("x_test", part())], Deflated);
    vec![
        of("|u1", "False", Stored),
        of("|u1", "False", Deflated),
        of("|u1", "True", Stored),
        npz("<f8", "True", &shares, Deflated),
        npz("<i8", "False", &integers, Stored),
        keras,
    ]
}

fn npy_files() -> Vec<Vec<u8>> {
    let [shares, _] = wide();
    let channel = npy(&header("|u1", "False", "10, 2, 3, 1"), &images());
    vec![channel.clone(), gzipped(&channel), npy(&header("<f8", "True", "10, 2, 3"), &shares)]
}

/// The mean of the images of a file, or why it is refused.
fn mean(bytes: &[u8], name: &str) -> gengs::Result<f64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let data = ImageSet::from_name(path.to_str().unwrap()).load(None)?;
    let sum = |images: &gengs::data::Images| images.content().0.sum(tch::Kind::Double).double_value(&[]);
    let parts = [&data.train, &data.validation, &data.test];
    Ok(parts.map(sum).iter().sum::<f64>() / parts.map(|images| images.len() as f64).iter().sum::<f64>())
}

/// Images of booleans, and of zeros and ones, are those of 0 and 255; what are no intensities is refused with the line of Python that makes them so.
#[test]
fn one_is_white_where_nothing_is_brighter() {
    let ink: Vec<u8> = (0..60).map(|i| u8::from(i % 3 == 0)).collect();
    let white: Vec<u8> = ink.iter().map(|byte| byte * 255).collect();
    let read = |kind: &str, content: &[u8]| mean(&npz(kind, "False", content, zip::CompressionMethod::Stored), "x.npz");
    let expected = read("|u1", &white).unwrap();
    assert_eq!(expected, 510.0);
    for kind in ["|b1", "|u1", "|i1"] {
        assert_eq!(read(kind, &ink).unwrap(), expected);
    }
    for (kind, found) in [("|i1", "from -1 to 0"), ("|S1", "text of type '|S1'")] {
        let message = read(kind, &white).unwrap_err().to_string();
        assert!(message.contains(kind) && message.contains(found) && message.contains("('uint8')"), "{message}");
        // Nor are they OMNIGLOT.
        let folder = tempfile::tempdir().unwrap();
        let x = npy(&header(kind, "False", "2, 28, 28"), &[255; 2 * 784]);
        let is_test = npy(&header("|b1", "False", "2,"), &[0, 1]);
        let archive = zipped(&[("x", x), ("is_test", is_test)], zip::CompressionMethod::Stored);
        std::fs::write(folder.path().join("omniglot28.npz"), archive).unwrap();
        let message = ImageSet::Omniglot.load(Some(folder.path())).unwrap_err().to_string();
        assert!(message.contains("array 'x' must hold intensities") && message.contains("('uint8')"), "{message}");
    }
}

/// What NumPy, gzip, Keras and Python 2 write is read by what it holds, whatever it is called.
#[test]
fn content_decides_how_a_file_is_read() {
    use zip::CompressionMethod::Stored;
    let expected = images().iter().map(|&byte| f64::from(byte)).sum::<f64>() / 10.0;
    for files in [idx_files(), npz_files(), npy_files()] {
        for (number, file) in files.iter().enumerate() {
            for name in ["x.npz", "x.NPZ", "x.gz", "images", "x.txt"] {
                let found = mean(file, name).unwrap();
                assert!((found - expected).abs() < 1e-9, "{number} {name}: {found}");
            }
        }
    }
    let squares = |shape: &str| npy(&header("|u1", "False", shape), &[7; 10 * 4]);
    for shape in ["10, 4", "10, 2, 2", "10, 2, 2, 1", "10, 1, 2, 2", "10L, 2L, 2L"] {
        assert_eq!(mean(&squares(shape), "x").unwrap(), 28.0, "{shape}");
    }
    let quoted = header("|u1", "False", "10, 4").replace('\'', "\"");
    assert_eq!(mean(&npy(&quoted, &[7; 40]), "x").unwrap(), 28.0);
    // numpy.savez without a name.
    assert_eq!(mean(&zipped(&[("arr_0", squares("10, 4"))], Stored), "x").unwrap(), 28.0);

    let [shares, _] = wide();
    let of = |change: &dyn Fn(f64) -> f64| -> Vec<u8> {
        shares.chunks(8).flat_map(|x| change(f64::from_le_bytes(x.try_into().unwrap())).to_le_bytes()).collect()
    };
    let doubled = of(&|x| 2.0 * x);
    let mut lzma = zipped(&[("x", squares("10, 4"))], Stored);
    // The method in the local and in the central header.
    lzma[8] = 14;
    let central = lzma.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    lzma[central + 10] = 14;
    for (file, parts) in [
        // What is offered keeps the picture, and the other arrays of the file.
        (
            npz("<f8", "False", &doubled, Stored),
            ["from 0 to 1.85", "{k: (x - x.min()) / (x.max() - x.min()) if k == \"x\" else x"],
        ),
        (npz("<f8", "False", &of(&|x| 2.0 * x - 1.0), Stored), ["from -1 to", "{k: (x + 1) / 2 if"]),
        (npz("<f8", "False", &of(&|x| 250.0 * x), Stored), ["from 0 to 231.37", "{k: x.round().astype('uint8') if"]),
        (
            npz("<f8", "False", &of(&|x| if x > 0.5 { f64::NAN } else { x }), Stored),
            ["NaN", "{k: numpy.nan_to_num(x) if"],
        ),
        (squares("40"), ["has shape [40]", "it looks like labels"]),
        (squares("2, 4, 1, 5"), ["has shape [2, 4, 1, 5]", "x.mean(1).astype('uint8')"]),
        (
            zipped(&[("x", squares("10, 4")), ("x_test", squares("10, 4"))], Stored),
            ["both 'x' and 'x_test'", "keep 'x' alone"],
        ),
        (
            zipped(&[("x_train", squares("10, 4")), ("x_test", npy(&header("|u1", "False", "1, 4"), &[7; 4]))], Stored),
            ["1 images in 'x_test'", "at least 10"],
        ),
        (lzma, ["array 'x' is packed by LZMA", "numpy.savez_compressed('again.npz', **numpy.load("]),
        (squares("10, 2, 1, 2"), ["has shape [10, 2, 1, 2], but images are [N, height, width]", "x.mean(-1)"]),
        (squares("5, 8"), ["has shape [5, 8]", "squares as [N, pixels]"]),
        (squares("4, 10, 1"), ["holds 4 images", "at least 10"]),
        (zipped(&[("a", squares("10, 4")), ("b", squares("10, 4"))], Stored), ["no array 'x'", "[NAME]"]),
        (zipped(&[("archive/data", vec![])], Stored), ["array 'archive/data' is damaged", ""]),
        (b"\x89PNG and so on".to_vec(), ["is in no known image format: it starts with [89, 50, 4e, 47]", ".npz"]),
    ] {
        let message = mean(&file, "x").unwrap_err().to_string();
        assert!(
            parts.iter().all(|part| message.contains(part)) && !message.contains("get the file again"),
            "{message}"
        );
    }
}

/// A small run's checkpoint, its settings, its records, and what it knows of its data.
fn run_files() -> [Vec<u8>; 4] {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("images");
    std::fs::write(&dataset, &idx_files()[0]).unwrap();
    let dataset = dataset.display().to_string();
    let config =
        TrainConfig { dataset, latents: 2, hidden: vec![3], epochs: 1, batch_size: 4, ..TrainConfig::default() };
    let out = folder.path().join("run");
    let mut session = gengs::training::Session::<gengs::training::VaeTask>::start(config, &out, Device::Cpu).unwrap();
    session.run(|_| gengs::training::Control::Continue, |_| ()).unwrap();
    ["last.safetensors", "config.toml", METRICS, "data.safetensors"].map(|name| std::fs::read(out.join(name)).unwrap())
}

/// The folder of a small run of topics, which keeps what it shows.
fn topics_run(folder: &Path) {
    let corpus = folder.join("news.txt");
    std::fs::write(&corpus, "ship harbour\nnurse patient\n".repeat(20)).unwrap();
    let text = gengs::data::TextRules { max_share: 1.0, ..Default::default() };
    let corpus = corpus.display().to_string();
    let config = TopicsTrainConfig { corpus, text, topics: vec![2], hidden: 3, epochs: 1, ..Default::default() };
    let mut session = gengs::training::Session::<TopicsTask>::start(config, &folder.join("run"), Device::Cpu).unwrap();
    session.run(|_| gengs::training::Control::Continue, |_| ()).unwrap();
}

fn weight_files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| weights::read(path, Device::Cpu).is_ok();
    paths.into_iter().filter(read).map(|path| std::fs::read(path).unwrap()).collect()
}

/// A text of a pickle.
fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// A file of `torch.save` with this pickle and a storage of one number.
fn torch(pickle: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 4])] {
        let stored = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(name, stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The pickle of a dict in which one tensor has the names that these opcodes put beside it, which is memoized as 1.
fn named(names: &[Vec<u8>]) -> Vec<u8> {
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0(K\x01t(K\x01t\x89NtR".as_slice(),
        b"q\x010",
    ]
    .concat();
    let items: Vec<u8> = names.iter().flat_map(|name| [name, b"h\x01".as_slice()].concat()).collect();
    [b"\x80\x02", text(&"k".repeat(1 << 20)).as_slice(), b"q\x000", &tensor, b"}(", &items, b"u."].concat()
}

/// A file with so many bytes of a hole.
fn hollow(path: &Path, start: &[u8], hole: u64) -> bool {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(start).unwrap();
    file.seek(SeekFrom::Start(hole)).unwrap();
    file.write_all(b"\n").unwrap();
    use std::os::unix::fs::MetadataExt;
    file.metadata().unwrap().blocks() * 512 < hole / 2
}

/// Compressed, repeated, nested and hollow files: each is refused in a sentence, within ten times the file and 64 MiB.
#[test]
fn files_that_are_made_to_ask_for_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let rules = TextRules { min_letters: 1, min_documents: 1, max_share: 1.0, ..TextRules::default() };
    let weights = |path: &Path| weights::read(path, Device::Cpu).map(|_| ());
    let images = |path: &Path| ImageSet::File(path.into()).load(None).map(|_| ());
    let corpus = |path: &Path| CorpusSet::from_name(path.to_str().unwrap()).load(None, &rules, None).map(|_| ());
    let settings = |path: &Path| read_settings::<TrainConfig>(path).map(|_| ());
    let checkpoint = |path: &Path| Checkpoint::read(path).map(|_| ());
    type Read<'a> = &'a dyn Fn(&Path) -> gengs::Result<()>;

    let names = |count: usize| (0..count).map(|i| text(&i.to_string())).collect::<Vec<_>>();
    let class = b"\x80\x02c__main__\nNet\"; touch PWNED; echo \"\n)\x81}b.";
    let npy = |shape: &str| {
        let header = format!("{{'descr': '|u1', 'fortran_order': True, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        let array = [b"\x93NUMPY\x01\0".as_slice(), &length, header.as_bytes()].concat();
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("x.npy", zip::write::FileOptions::default()).unwrap();
        writer.write_all(&array).unwrap();
        writer.finish().unwrap().into_inner()
    };
    let picture = [&[0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 4, 1, 0, 0, 4, 0][..], &vec![0; 10 * 1025 * 1024]].concat();
    let cases: [(&str, Vec<u8>, Read<'_>, &str); 10] = [
        ("long.pt", torch(&named(&vec![b"h\0".to_vec(); 4000])), &weights, "more than 1024 bytes"),
        ("twice.pt", torch(&named(&[names(1), names(1)].concat())), &weights, "two tensors have the name 0"),
        ("many.pt", torch(&named(&names(120_000))), &weights, "many times the room"),
        ("command.pt", torch(class), &weights, "do not load it"),
        ("empty.npz", npy("(0, 4611686018427387904, 4)"), &images, "too large for the file"),
        ("large", gzipped(&picture), &images, "1025 by 1024 pixels, but at most 1048576"),
        ("lines.ldac.gz", gzipped(&b"0\n".repeat(1_100_000)), &corpus, "so small a compressed file"),
        (
            "comments.svmlight.gz",
            gzipped(&[&b"1 1:1 #"[..], &b"x".repeat(5000), b"\n"].concat().repeat(15_000)),
            &corpus,
            "unpack to more than",
        ),
        ("hidden.toml", format!("hidden = [{}1]", "1,".repeat(1 << 17)).into_bytes(), &settings, "at most 262144"),
        ("wide.toml", b"hidden = 7\n".to_vec(), &settings, "line 1"),
    ];
    for (name, bytes, read, part) in cases {
        let path = file(name);
        std::fs::write(&path, &bytes).unwrap();
        let (message, used) = peak(|| read(&path).expect_err(name).whole());
        println!("{name}: {used} bytes for {}: {message}", bytes.len());
        assert!(message.contains(part) && message.contains(name), "{message}");
        assert!(!message.contains("python -c"), "{message}");
        assert!(used <= 10 * bytes.len() as i64 + ROOM, "{name}: {used} bytes for a file of {}", bytes.len());
    }
    let header = |size: u64| {
        let header = format!("{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{size}],\"data_offsets\":[0,{size}]}}}}");
        [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
    };
    let idx = [0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0x40, 0, 0, 0, 0x40, 0];
    let hollow_files: [(&str, Vec<u8>, Read<'_>); 4] = [
        ("best.safetensors", header(6 << 30), &checkpoint),
        ("weights.safetensors", header(6 << 30), &weights),
        ("images", idx.to_vec(), &images),
        ("text.txt", b"words\n".to_vec(), &corpus),
    ];
    for (name, start, read) in hollow_files {
        let path = file(name);
        if !hollow(&path, &start, 6 << 30) {
            println!("skipped: this file system has no holes");
            return;
        }
        let (message, used) = peak(|| read(&path).expect_err(name).to_string());
        println!("{name}: {used} bytes: {message}");
        assert!(message.contains(name) && used <= ROOM + (1 << 20), "{used} bytes: {message}");
    }
}

/// Documents of the fewest bytes take the most memory for each of them: counters, and the buffers that grow to twice their size.
#[test]
fn short_documents_take_up_to_twenty_bytes_for_each_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let rules = TextRules { min_letters: 1, min_documents: 1, max_share: 1.0, ..TextRules::default() };
    let uci = format!("800000\n1\n400000\n{}", (1..=400_000).map(|i| format!("{} 1 1\n", 2 * i)).collect::<String>());
    for (name, bytes) in [
        ("a.txt", b"b\n".repeat(1_000_000)),
        ("a.ldac", b"1 0:1\n".repeat(500_000)),
        ("a.svmlight", b"1 1:1\n".repeat(500_000)),
        ("empty.ldac", [&b"1 0:1\n"[..], &b"0\n".repeat(1_000_000)].concat()),
        ("docword.a.txt", uci.into_bytes()),
        ("a.jsonl", b"{\"text\":\"b\"}\n".repeat(200_000)),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let (corpus, used) = peak(|| CorpusSet::from_name(path.to_str().unwrap()).load(None, &rules, None).unwrap());
        println!("{name}: {:.1} bytes for each of the file", used as f64 / bytes.len() as f64);
        assert!(used <= 20 * bytes.len() as i64 + (1 << 20), "{name}: {used} bytes for {}", bytes.len());
        drop(corpus);
    }
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
    let [checkpoint, settings, records, data] = run_files();
    let topics = tempfile::tempdir().unwrap();
    topics_run(topics.path());
    let kept = |name: &str| topics.path().join("run").join(name);
    let shown = std::fs::read(kept("topics-best.safetensors")).unwrap();
    limit_memory();
    let image_set = |path: &Path| ImageSet::File(path.into()).load(None).map(|_| ());
    read_mutations(("idx", "mutated"), cases, &idx_files(), image_set);
    read_mutations(("npz", "mutated.npz"), cases, &npz_files(), image_set);
    read_mutations(("npy", "mutated.npy"), cases, &npy_files(), image_set);
    read_mutations(("checkpoint", "mutated"), cases, std::slice::from_ref(&checkpoint), |path| {
        Checkpoint::read(path).map(|_| ())
    });
    read_mutations(("weights", "mutated"), cases, &weight_files(), |path| weights::read(path, Device::Cpu).map(|_| ()));
    read_mutations(("settings", "mutated"), cases, &[settings], |path| read_settings::<TrainConfig>(path).map(|_| ()));
    read_mutations(("data of a run", "mutated/data.safetensors"), cases, &[data], |path| {
        let folder = path.parent().unwrap();
        std::fs::write(folder.join("config.toml"), "seed = 0\n").unwrap();
        let (run, _) = RunFolder::open::<TrainConfig>(folder)?;
        ShownImages::from_run(&run, Device::Cpu).map(|_| ())
    });
    read_mutations(("topics of a run", "mutated/topics-best.safetensors"), cases, &[shown], |path| {
        let folder = path.parent().unwrap();
        for name in ["config.toml", "vocabulary.txt", "best.safetensors"] {
            std::fs::copy(kept(name), folder.join(name)).unwrap();
        }
        let (run, _) = RunFolder::open::<TopicsTrainConfig>(folder)?;
        TopicsShown::read(&run, "best").map(|_| ())
    });
    read_mutations(("records", "mutated"), cases, &[records], |path| {
        std::fs::write(path.with_file_name("config.toml"), "seed = 0\n").unwrap();
        let folder = path.parent().unwrap_or(path);
        let (run, _) = RunFolder::open::<TrainConfig>(folder)?;
        run.records::<EpochRecord>("mutated").map(|_| ())
    });
}

/// The limit on memory is the whole process's, so that it gets one of its own.
fn read_all_in_a_process(cases: usize) {
    const CASES: &str = "GENGS_TEST_MUTATIONS";
    if let Some(cases) = std::env::var(CASES).ok().and_then(|cases| cases.parse().ok()) {
        return read_all(cases);
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "hostile_files::damaged_files_are_read_or_are_errors", "--nocapture"]);
    assert!(child.env(CASES, cases.to_string()).status().unwrap().success());
}

#[test]
fn damaged_files_are_read_or_are_errors() {
    read_all_in_a_process(4000);
}

#[test]
#[ignore = "some minutes in release: a million mutations of each kind of file"]
fn a_million_damaged_files_of_each_kind_are_read_or_are_errors() {
    read_all_in_a_process(1_000_000);
}
