//! The image sets that a run can name, and how they are loaded.

use super::batches::{Images, Pixels};
use super::identity::{ContentHash, Identity};
use super::image_files::{self, ImageBytes, ImageFile};
use crate::error::{Error, Result};
use crate::formats::idx;
use crate::formats::npz::Archive;
use crate::platform::budget;
use crate::platform::files::absolute_text;
use std::path::{Path, PathBuf};
use tch::Device;

/// Images for training, validation and testing, all of one size.
#[derive(Debug)]
pub struct Dataset {
    /// The images for training.
    pub train: Images,
    /// The images by which the best epoch is chosen.
    pub validation: Images,
    /// The images for testing.
    pub test: Images,
    /// Height and width of an image.
    pub shape: (i64, i64),
}

impl Dataset {
    /// Returns the sizes and hashes that identify the images.
    ///
    /// # Errors
    /// Fails if the images cannot be copied from their device.
    pub fn identity(&self) -> Result<Identity> {
        let parts = [&self.train, &self.validation, &self.test];
        let (mut content, mut shape) = (ContentHash::default(), ContentHash::default());
        for images in parts {
            images.hash_into(&mut content)?;
        }
        shape.add(format!("{:?}", self.shape).as_bytes());
        Ok(Identity {
            examples: parts.map(|images| images.len() as u64),
            features: self.train.size() as u64,
            features_hash: shape.to_text(),
            content_hash: content.to_text(),
        })
    }

    /// Copies the images to a device.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self {
            train: self.train.to_device(device),
            validation: self.validation.to_device(device),
            test: self.test.to_device(device),
            shape: self.shape,
        }
    }
}

/// The source of an image set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSet {
    /// 5,000 digits built into the crate: 4,500 for training; the other 500 choose the best epoch and are the test
    /// images, too, so that results on them are optimistic.
    Mnist5k,
    /// MNIST, dynamically binarised; the last 10,000 training images are for validation.
    Mnist,
    /// MNIST in Larochelle's fixed binarisation.
    StaticMnist,
    /// OMNIGLOT at 28x28, dynamically binarised; the last 1,345 training images are for validation.
    Omniglot,
    /// A file of intensities from 0 to 255 or from 0 to 1, in an array `[N, height, width]`, `[N, height, width, 1]`,
    /// or `[N, pixels]` for squares. The file is an idx file, an `.npy` (both may be gzipped), or an `.npz` with an
    /// array `x` (or with only one array). Of every ten images, the last is for testing, and the one before it for
    /// validation. An `.npz` with `x_train` and `x_test`, as Keras has for MNIST, names the test images itself; then
    /// every ninth of the other images is for validation.
    File(PathBuf),
}

impl ImageSet {
    /// Parses `mnist-5k`, `mnist`, `static-mnist`, `omniglot`, or a path.
    pub fn from_name(name: &str) -> Self {
        match name {
            "mnist-5k" => ImageSet::Mnist5k,
            "mnist" => ImageSet::Mnist,
            "static-mnist" => ImageSet::StaticMnist,
            "omniglot" => ImageSet::Omniglot,
            path => ImageSet::File(path.into()),
        }
    }

    /// Makes the path in the name of an image set absolute, if the current folder is known and both are UTF-8. Other
    /// names stay.
    pub fn absolute_name(name: &str) -> String {
        match Self::from_name(name) {
            ImageSet::File(path) => absolute_text(&path).unwrap_or_else(|| name.into()),
            _ => name.into(),
        }
    }

    /// Reads the set. The files of named sets are searched for in `folder`.
    ///
    /// # Errors
    /// Fails if a file is missing, truncated or malformed; the message names it.
    pub fn load(&self, folder: Option<&Path>) -> Result<Dataset> {
        match self {
            ImageSet::Mnist5k => built_in(),
            ImageSet::Mnist => mnist(folder),
            ImageSet::StaticMnist => static_mnist(folder),
            ImageSet::Omniglot => omniglot(folder),
            ImageSet::File(path) => file(path),
        }
    }
}

/// Height and width of MNIST and OMNIGLOT images in pixels.
const SIDE: i64 = 28;

fn built_in() -> Result<Dataset> {
    let bytes: &[u8] = include_bytes!("digits/images-idx3-ubyte.gz");
    let (shape, bytes) = idx::parse(Path::new("built-in digits"), bytes, bytes.len() as u64)?;
    let images = Images::new(&bytes, shape[0], SIDE * SIDE, Pixels::Intensity)?;
    // The images are sorted by class, 500 each, so every tenth image gives 50 of each class.
    let (test, train) = images.every(9, 10);
    let validation = test.slice(0, test.len())?;
    Ok(Dataset { train, validation, test, shape: (SIDE, SIDE) })
}

fn mnist(folder: Option<&Path>) -> Result<Dataset> {
    let read = |part: &str, count: i64| {
        let stem = format!("{part}-images-idx3-ubyte");
        let path = find(folder, "mnist", &[&format!("{stem}.gz"), &stem])?;
        let (shape, bytes) = idx::read(&path)?;
        if shape != [count, SIDE, SIDE] {
            return Err(Error::file(
                path,
                format!("holds images of shape {shape:?}, but MNIST's are [{count}, 28, 28]"),
            ));
        }
        Images::new(&bytes, count, SIDE * SIDE, Pixels::Intensity)
    };
    let train = read("train", 60_000)?;
    Ok(Dataset {
        validation: train.slice(50_000, 60_000)?,
        train: train.slice(0, 50_000)?,
        test: read("t10k", 10_000)?,
        shape: (SIDE, SIDE),
    })
}

fn static_mnist(folder: Option<&Path>) -> Result<Dataset> {
    let path = find(folder, "static-mnist", &["static_binarized_mnist_bits.npz"])?;
    let mut archive = Archive::open(&path)?;
    let mut read = |name: &str, count: i64| {
        let (shape, packed) = archive.bytes(name)?;
        if shape != [count, SIDE * SIDE / 8] {
            return Err(Error::file(&path, format!("array '{name}' has shape {shape:?}, not [{count}, 98]")));
        }
        // Eight pixels per byte, the most significant bit first.
        let bits: Vec<u8> = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        Images::new(&bits, count, SIDE * SIDE, Pixels::Binary)
    };
    Ok(Dataset {
        train: read("train", 50_000)?,
        validation: read("valid", 10_000)?,
        test: read("test", 10_000)?,
        shape: (SIDE, SIDE),
    })
}

fn omniglot(folder: Option<&Path>) -> Result<Dataset> {
    const TRAIN: usize = 24_345;
    const VALIDATION: i64 = 1_345;
    let path = find(folder, "omniglot", &["omniglot28.npz"])?;
    let mut archive = Archive::open(&path)?;
    let x = archive.array("x")?;
    let shape = x.shape.clone();
    let (flags_shape, is_test) = archive.bytes("is_test")?;
    if shape.len() != 3 || shape[1..] != [SIDE, SIDE] || flags_shape != shape[..1] {
        return Err(Error::file(
            &path,
            format!("holds 'x' {shape:?} and 'is_test' {flags_shape:?}, not [N, 28, 28] and [N]"),
        ));
    }
    let ImageBytes { bytes, .. } = image_files::images(&path, Some("x"), x)?;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (image, flag) in bytes.chunks_exact((SIDE * SIDE) as usize).zip(&is_test) {
        if *flag == 0 { &mut train } else { &mut test }.extend_from_slice(image);
    }
    let images = |bytes: &[u8]| {
        let count = bytes.len() as i64 / (SIDE * SIDE);
        Images::new(bytes, count, SIDE * SIDE, Pixels::Intensity).map_err(|error| Error::file(&path, error))
    };
    let train = images(&train)?;
    if train.len() as usize != TRAIN {
        return Err(Error::file(&path, format!("holds {} training images, not {TRAIN}", train.len())));
    }
    let last = train.len() - VALIDATION;
    Ok(Dataset {
        validation: train.slice(last, train.len())?,
        train: train.slice(0, last)?,
        test: images(&test)?,
        shape: (SIDE, SIDE),
    })
}

/// The fewest images of a file: each part then has at least one.
const MIN_IMAGES: i64 = 10;

fn file(path: &Path) -> Result<Dataset> {
    if !path.is_file() {
        let found = match path.metadata() {
            Ok(metadata) if metadata.is_dir() => "is a folder",
            Ok(_) => "is no regular file",
            Err(_) => "no such file",
        };
        let allowed = "a data set is mnist-5k, mnist, static-mnist, omniglot, an idx file, or NumPy's .npz or .npy";
        return Err(Error::file(path, format!("{found}; {allowed}")));
    }
    let to_images = |ImageBytes { count, height, width, bytes }: ImageBytes, array_note: &str| {
        if count < MIN_IMAGES {
            return Err(Error::file(
                path,
                format!("holds {count} images{array_note}, but at least {MIN_IMAGES} are needed"),
            ));
        }
        let Some(pixels) = height.checked_mul(width).filter(|&pixels| pixels <= budget::PIXELS) else {
            let problem =
                format!("holds images of {height} by {width} pixels, but at most {} are taken", budget::PIXELS);
            return Err(Error::file(path, format!("{problem}: make them smaller")));
        };
        Ok((Images::new(&bytes, count, pixels, Pixels::Intensity)?, (height, width)))
    };
    let (rest, test, shape) = match image_files::read(path)? {
        ImageFile::Whole(images) => {
            let (images, shape) = to_images(images, "")?;
            let (test, rest) = images.every(9, 10);
            (rest, test, shape)
        }
        ImageFile::Split { train, test } => {
            let ((train, shape), (test, test_shape)) =
                (to_images(train, " in 'x_train'")?, to_images(test, " in 'x_test'")?);
            if shape != test_shape {
                let problem = format!("has images of {shape:?} in 'x_train', but of {test_shape:?} in 'x_test'");
                return Err(Error::file(path, problem));
            }
            (train, test, shape)
        }
    };
    let (validation, train) = rest.every(8, 9);
    Ok(Dataset { train, validation, test, shape })
}

/// Returns the first of these files that exists in the folder.
fn find(folder: Option<&Path>, set: &str, names: &[&str]) -> Result<PathBuf> {
    let source = match set {
        "mnist" => "the four files of MNIST, from its distributors",
        "static-mnist" => {
            "an .npz of Larochelle's binarized_mnist_{train,valid,test}.amat, bits packed with numpy.packbits"
        }
        _ => "an .npz of OMNIGLOT at 28x28: 'x' u8 [N, 28, 28] with ink 255, 'is_test' [N]",
    };
    let Some(folder) = folder else {
        let problem = format!("the data set {set} needs a folder with {} ({source})", names.join(" or "));
        return Err(Error::NamedDataMissing { problem });
    };
    let candidates = || names.iter().map(|name| folder.join(name));
    candidates().find(|path| path.is_file()).ok_or_else(|| {
        let looked: Vec<String> = candidates().map(|path| path.display().to_string()).collect();
        let looked = looked.join(" and ");
        Error::NamedDataMissing {
            problem: format!("the data set {set} is missing: looked for {looked} (it is {source})"),
        }
    })
}
