//! Draws grids of images as PNG: samples, and test images above their reconstructions.

use crate::data::{Dataset, Images, Pixels};
use crate::error::{Error, Result};
use crate::models::Vae;
use crate::platform::files::replace;
use crate::training::data_record::DataRecord;
use crate::training::run_folder::RunFolder;
use std::collections::BTreeMap;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Pixels between two images of a grid, and around it.
const GAP: i64 = 2;

/// Grey value of the gaps, from 0 (black) to 1.
const GREY: f64 = 0.35;

/// Columns and rows of the pictures at the end of a run.
const COLUMNS: i64 = 10;
const ROWS: i64 = 10;

/// The most test images that are shown above their reconstructions.
const PAIRS: i64 = COLUMNS * ROWS / 2;

/// The name of the shown images in the record of a run's data; a suffix names the meaning of a byte.
const SHOWN: &str = "shown";

/// The test images that are shown above their reconstructions; the run folder keeps them.
#[derive(Debug)]
pub struct ShownImages {
    images: Images,
    /// Height and width.
    shape: (i64, i64),
}

impl ShownImages {
    /// Selects test images at equal distances, since the test set may be sorted.
    pub fn from_data(data: &Dataset) -> Self {
        Self { images: data.test.spread(PAIRS), shape: data.shape }
    }

    /// Reads the images that a run folder keeps; `None` if it keeps none.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn from_run(run: &RunFolder, device: Device) -> Result<Option<Self>> {
        let Some(DataRecord { tensors, .. }) = DataRecord::read(run)? else { return Ok(None) };
        for pixels in [Pixels::Binary, Pixels::Intensity] {
            let Some(tensor) = tensors.get(&name(pixels)) else { continue };
            let [count, height, width] = tensor.size()[..] else { continue };
            let bytes = Vec::<u8>::try_from(&tensor.to_kind(Kind::Uint8).reshape([-1]))?;
            let images = Images::new(&bytes, count, height * width, pixels)?.to_device(device);
            return Ok(Some(Self { images, shape: (height, width) }));
        }
        Ok(None)
    }

    /// Returns the number of pixels per image.
    pub fn size(&self) -> i64 {
        self.images.size()
    }

    /// Returns the images by name, `[N, height, width]`, as the record of a run's data holds them.
    pub(super) fn to_tensors(&self) -> BTreeMap<String, Tensor> {
        let (bytes, pixels) = self.images.content();
        let (height, width) = self.shape;
        BTreeMap::from([(name(pixels), bytes.to_device(Device::Cpu).reshape([-1, height, width]))])
    }
}

/// Returns the name of the images in the record of a run's data.
fn name(pixels: Pixels) -> String {
    let meaning = match pixels {
        Pixels::Binary => "binary",
        Pixels::Intensity => "intensity",
    };
    format!("{SHOWN}.{meaning}")
}

/// Draws two pictures: a grid of samples, and test images above their reconstructions.
///
/// # Errors
/// Fails if a file cannot be written.
pub fn draw_pictures(vae: &Vae, shown: &ShownImages, samples: &Path, reconstructions: &Path) -> Result<()> {
    for (path, png) in [samples, reconstructions].into_iter().zip(pictures(vae, shown)?) {
        write(path, &png)?;
    }
    Ok(())
}

/// Draws the pictures of [`draw_pictures`] as PNGs in memory.
pub(super) fn pictures(vae: &Vae, shown: &ShownImages) -> Result<[Vec<u8>; 2]> {
    let samples = grid_png(&vae.generate(COLUMNS * ROWS)?, shown.shape, COLUMNS)?;
    let pairs = shown.images.len();
    let x = shown.images.batch(&Tensor::arange(pairs, (Kind::Int64, vae.prior().device())));
    let decoded = vae.reconstruct(&x)?;
    let rows: Vec<Tensor> = (0..pairs)
        .step_by(COLUMNS as usize)
        .flat_map(|start| {
            let length = COLUMNS.min(pairs - start);
            [x.narrow(0, start, length), decoded.narrow(0, start, length)]
        })
        .collect();
    Ok([samples, grid_png(&Tensor::cat(&rows, 0), shown.shape, COLUMNS)?])
}

/// Writes a grid of images as [`grid_png`] draws it.
///
/// # Errors
/// Fails if the shape does not match, or if the file cannot be written.
pub fn write_grid(path: &Path, images: &Tensor, shape: (i64, i64), columns: i64) -> Result<()> {
    write(path, &grid_png(images, shape, columns)?)
}

fn write(path: &Path, png: &[u8]) -> Result<()> {
    replace(path, png).map_err(|error| Error::caused(path, "the picture cannot be written", error))
}

/// Draws images `[N, height * width]` with values in `[0, 1]` (1 is white) as a grid with `columns` columns. Returns a
/// PNG.
///
/// # Errors
/// Fails if the shape does not match.
pub fn grid_png(images: &Tensor, shape: (i64, i64), columns: i64) -> Result<Vec<u8>> {
    let (height, width) = shape;
    let size = images.size();
    if size.len() != 2 || size[1] != height * width || size[0] < 1 || columns < 1 {
        return Err(Error::Shape {
            what: "images of a grid".into(),
            found: size,
            expected: format!("[N, {}] in at least one column", height * width),
        });
    }
    let columns = columns.min(size[0]);
    let rows = (size[0] + columns - 1) / columns;
    let (full_height, full_width) = (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP);
    let canvas = Tensor::full([full_height, full_width], GREY, (Kind::Float, Device::Cpu));
    for i in 0..size[0] {
        let (top, left) = (GAP + i / columns * (height + GAP), GAP + i % columns * (width + GAP));
        let image = images.get(i).to_device(Device::Cpu).to_kind(Kind::Float).reshape([height, width]);
        canvas.narrow(0, top, height).narrow(1, left, width).copy_(&image);
    }
    let pixels = Vec::<u8>::try_from(&(canvas.clamp(0.0, 1.0) * 255.0).round().to_kind(Kind::Uint8).reshape([-1]))?;

    let mut png = Vec::new();
    // Writing to memory fails only for pictures larger than the format allows.
    let failed = |error: png::EncodingError| Error::parameter("size of a picture", error, "one that PNG can hold");
    let mut encoder = png::Encoder::new(&mut png, full_width as u32, full_height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(png)
}
