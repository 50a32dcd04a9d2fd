//! Files of images: what they hold decides how they are read, not what they are called.

use crate::error::{Error, Result};
use crate::formats::array::{Array, NoIntensities};
use crate::formats::gzip::Gunzip;
use crate::formats::{idx, npy, npz};
use crate::platform::budget::{longest, most_content};
use crate::platform::open::{Opened, open};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Images as bytes: how many, how high, how wide, and their intensities from 0 to 255.
#[derive(Debug)]
pub(super) struct ImageBytes {
    pub count: i64,
    pub height: i64,
    pub width: i64,
    pub bytes: Vec<u8>,
}

/// The images of a file: all in one array, or those to train on apart from those to test on.
#[derive(Debug)]
pub(super) enum ImageFile {
    Whole(ImageBytes),
    Split { train: ImageBytes, test: ImageBytes },
}

/// Reads a file: idx, `.npy`, both also gzipped, or `.npz`.
///
/// # Errors
/// When it is none of these, or its numbers are no images; the message says what was found, and what makes images of
/// it.
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
        plain(path, unpacked, most_content(held))?
    } else {
        plain(path, source, length.min(longest(held)))?
    };
    Ok(ImageFile::Whole(images(path, None, array)?))
}

/// An array that is not packed.
fn plain(path: &Path, mut source: impl BufRead, most: u64) -> Result<Array> {
    let start = source.fill_buf().map_err(|error| Error::caused(path, "damaged; get the file again", error))?;
    if start.starts_with(npy::MAGIC) {
        return npy::read(&mut source.by_ref().take(u64::MAX), most)
            .map_err(|problem| Error::file(path, format!("the array {problem}")));
    }
    if !start.is_empty() && !start.starts_with(&[0, 0]) {
        let shown = &start[..start.len().min(4)];
        let problem = format!(
            "holds no images that are known: it starts with {shown:02x?}, not as an idx file, NumPy's .npy or .npz; \
             of an array x in Python: \
             numpy.savez_compressed('images.npz', x=x)"
        );
        return Err(Error::file(path, problem));
    }
    idx::parse_plain(path, source, most)
}

/// The arrays of an archive that hold images: `x`, or Keras' `x_train` and `x_test`, or the only one.
fn archive(path: &Path) -> Result<ImageFile> {
    let mut archive = npz::Archive::open(path)?;
    let names = archive.names();
    let has = |name: &str| names.iter().any(|found| found == name);
    let mut of = |name: &str| images(path, Some(name), archive.array(name)?);
    match names.as_slice() {
        _ if has("x") => match ["x_train", "x_test"].into_iter().find(|&other| has(other)) {
            Some(other) => {
                let problem = format!("has both 'x' and '{other}': keep 'x' alone, or 'x_train' and 'x_test'");
                Err(Error::file(path, problem))
            }
            None => of("x").map(ImageFile::Whole),
        },
        _ if has("x_train") && has("x_test") => Ok(ImageFile::Split { train: of("x_train")?, test: of("x_test")? }),
        [only] => of(only).map(ImageFile::Whole),
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

/// An array as images; `name` is its name in an archive.
pub(super) fn images(path: &Path, name: Option<&str>, array: Array) -> Result<ImageBytes> {
    let what = name.map_or("it".into(), |name| format!("array '{name}'"));
    let array = array.into_intensities()?.map_err(|NoIntensities { found, made }| {
        let problem = format!("{what} must hold intensities from 0 to 255 or from 0 to 1, but holds {found}");
        Error::file(path, format!("{problem}; {}", again(path, name, made)))
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
                [_, _, _, 2..=4] => format!("; {}", again(path, name, "x.mean(-1).astype('uint8')")),
                [_, 2..=4, _, _] => format!("; {}", again(path, name, "x.mean(1).astype('uint8')")),
                [] | [_] => ": it is as labels are, one number each".into(),
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

/// Python that makes such a file again with an array that can be read, and what else is in it.
fn again(path: &Path, name: Option<&str>, made: &str) -> String {
    let file = path.to_string_lossy();
    match name {
        Some(name) => format!(
            "in Python: numpy.savez_compressed('images.npz', **{{k: {made} if k == {name:?} else x for k, x in \
             numpy.load({file:?}).items()}})"
        ),
        None => format!("in Python, with x = numpy.load({file:?}): numpy.savez_compressed('images.npz', x={made})"),
    }
}
