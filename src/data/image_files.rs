//! Reads files of images. The content determines the format, not the name.

use crate::error::{Error, Result};
use crate::formats::array::{Array, NoIntensities};
use crate::formats::gzip::Gunzip;
use crate::formats::{idx, npy, npz};
use crate::platform::budget::{longest, most_content};
use crate::platform::open::{Opened, open};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Images as bytes, with their number and size; each byte is an intensity from 0 to 255.
#[derive(Debug)]
pub(super) struct ImageBytes {
    pub count: i64,
    pub height: i64,
    pub width: i64,
    pub bytes: Vec<u8>,
}

/// The images of a file: in one array, or divided into training and test images.
#[derive(Debug)]
pub(super) enum ImageFile {
    Whole(ImageBytes),
    Split { train: ImageBytes, test: ImageBytes },
}

/// Reads an idx file, an `.npy` (both may be gzipped), or an `.npz`.
///
/// # Errors
/// Fails if the format is another one, or if the numbers are no images; the message says what was found, and gives
/// Python code that converts it.
pub(super) fn read(path: &Path) -> Result<ImageFile> {
    let unreadable = |error: std::io::Error| Error::file(path, error);
    let Opened { file, length, held } = open(path).map_err(unreadable)?;
    let mut source = BufReader::new(file);
    let start = source.fill_buf().map_err(unreadable)?;
    if start.starts_with(npz::MAGIC) {
        return archive(path);
    }
    let array = if start.starts_with(idx::GZIP) {
        let unpacked = BufReader::new(Gunzip::new(source));
        read_array(path, unpacked, most_content(held))?
    } else {
        read_array(path, source, length.min(longest(held)))?
    };
    Ok(ImageFile::Whole(images(path, None, array)?))
}

/// Reads an array from a source that is not compressed and has at most `max_bytes` bytes.
fn read_array(path: &Path, mut source: impl BufRead, max_bytes: u64) -> Result<Array> {
    let start = source.fill_buf().map_err(|error| Error::caused(path, "damaged; get the file again", error))?;
    if start.starts_with(npy::MAGIC) {
        return npy::read(&mut source.by_ref().take(u64::MAX), max_bytes)
            .map_err(|problem| Error::file(path, format!("the array {problem}")));
    }
    if !start.is_empty() && !start.starts_with(&[0, 0]) {
        let shown = &start[..start.len().min(4)];
        let problem = format!(
            "is in no known image format: it starts with {shown:02x?}, unlike an idx file and NumPy's .npy or .npz; \
            in Python, an array x is written by numpy.savez_compressed('images.npz', x=x)"
        );
        return Err(Error::file(path, problem));
    }
    idx::parse_plain(path, source, max_bytes)
}

/// Reads the images of an archive: `x`, or Keras' `x_train` and `x_test`, or the only array.
fn archive(path: &Path) -> Result<ImageFile> {
    let mut archive = npz::Archive::open(path)?;
    let names = archive.names();
    let has = |name: &str| names.iter().any(|found| found == name);
    let mut read = |name: &str| images(path, Some(name), archive.array(name)?);
    match names.as_slice() {
        _ if has("x") => match ["x_train", "x_test"].into_iter().find(|&other| has(other)) {
            Some(other) => {
                let problem = format!("has both 'x' and '{other}': keep 'x' alone, or 'x_train' and 'x_test'");
                Err(Error::file(path, problem))
            }
            None => read("x").map(ImageFile::Whole),
        },
        _ if has("x_train") && has("x_test") => Ok(ImageFile::Split { train: read("x_train")?, test: read("x_test")? }),
        [only] => read(only).map(ImageFile::Whole),
        _ if archive.is_pytorch() => {
            let file = path.to_string_lossy();
            let problem = format!(
                "is a file of torch.save; in Python, if it holds one tensor: numpy.savez_compressed('images.npz', \
                 x=torch.load({file:?}).numpy())"
            );
            Err(Error::file(path, problem))
        }
        _ => {
            let shown: Vec<String> = names.iter().take(12).map(|name| name.chars().take(40).collect()).collect();
            let file = path.to_string_lossy();
            let problem = format!(
                "has no array 'x', nor 'x_train' and 'x_test', only {shown:?}; in Python: \
                 numpy.savez_compressed('images.npz', x=numpy.load({file:?})[NAME])"
            );
            Err(Error::file(path, problem))
        }
    }
}

/// Converts an array to images; `name` is its name in an archive.
pub(super) fn images(path: &Path, name: Option<&str>, array: Array) -> Result<ImageBytes> {
    let what = name.map_or("it".into(), |name| format!("array '{name}'"));
    let array = array.into_intensities()?.map_err(|NoIntensities { found, python }| {
        let problem = format!("{what} must hold intensities from 0 to 255 or from 0 to 1, but holds {found}");
        Error::file(path, format!("{problem}; {}", conversion_code(path, name, python)))
    })?;
    let (shape, bytes) = array.into_bytes()?;
    let side = |pixels: i64| (1..=1 << 15).find(|side| side * side == pixels);
    let (count, height, width) = match shape[..] {
        [count, pixels] if side(pixels).is_some() => {
            let side = side(pixels).unwrap_or(pixels);
            (count, side, side)
        }
        [count, height, width] | [count, height, width, 1] | [count, 1, height, width] => (count, height, width),
        _ => {
            let shown = &shape[..shape.len().min(8)];
            let advice = match shape[..] {
                [_, _, _, 2..=4] => format!("; {}", conversion_code(path, name, "x.mean(-1).astype('uint8')")),
                [_, 2..=4, _, _] => format!("; {}", conversion_code(path, name, "x.mean(1).astype('uint8')")),
                [] | [_] => ": it looks like labels, one number each".into(),
                _ => String::new(),
            };
            let problem = format!(
                "{what} has shape {shown:?}, but images are [N, height, width], also with a 1 for one channel, or \
                 squares as [N, pixels]{advice}"
            );
            return Err(Error::file(path, problem));
        }
    };
    if height < 1 || width < 1 {
        return Err(Error::file(path, format!("{what} has images without a pixel: shape {shape:?}")));
    }
    Ok(ImageBytes { count, height, width, bytes })
}

/// Returns Python code that writes the file again with a readable array, and with its other arrays.
fn conversion_code(path: &Path, name: Option<&str>, python: &str) -> String {
    let file = path.to_string_lossy();
    match name {
        Some(name) => format!(
            "in Python: numpy.savez_compressed('images.npz', **{{k: {python} if k == {name:?} else x for k, x in \
             numpy.load({file:?}).items()}})"
        ),
        None => format!("in Python, with x = numpy.load({file:?}): numpy.savez_compressed('images.npz', x={python})"),
    }
}
