//! Images in memory, the order of examples in an epoch, and batches of images.

use super::identity::ContentHash;
use crate::error::{Error, Result};
use crate::random::NoiseKey;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tch::{Device, Kind, Tensor};

/// The meaning of a stored byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// A pixel, 0 or 1.
    Binary,
    /// An intensity from 0 to 255, taken as the probability of a 1: binarised anew for each training batch (dynamic
    /// binarisation), and once for evaluation.
    Intensity,
}

/// The key of the noise that binarises intensities for evaluation: the same images for every model, seed and batch
/// size.
const EVALUATION_KEY: NoiseKey = NoiseKey { seed: 0x6269_6e61, step: 0, first_row: 0 };

/// The number of images that are hashed or binarised per call of libtorch, to bound the memory.
const IMAGES_PER_CALL: i64 = 1024;

/// Images as bytes, `[N, height * width]`.
#[derive(Debug)]
pub struct Images {
    bytes: Tensor,
    pixels: Pixels,
}

impl Images {
    /// Makes images from the bytes of `count` images of `size` pixels each.
    ///
    /// # Errors
    /// Fails if the number of bytes is not `count * size`, or if there is no image.
    pub fn new(bytes: &[u8], count: i64, size: i64, pixels: Pixels) -> Result<Self> {
        if count < 1 || size < 1 || bytes.len() as i64 != count * size {
            return Err(Error::Shape {
                what: "images".into(),
                found: vec![bytes.len() as i64],
                expected: format!("{count} images of {size} bytes, at least one of each"),
            });
        }
        Ok(Self { bytes: Tensor::from_slice(bytes).reshape([count, size]), pixels })
    }

    /// Returns the number of images.
    pub fn len(&self) -> i64 {
        self.bytes.size()[0]
    }

    /// Returns `false`: there is at least one image.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the number of pixels per image.
    pub fn size(&self) -> i64 {
        self.bytes.size()[1]
    }

    /// Copies the images to a device.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self { bytes: self.bytes.to_device(device), pixels: self.pixels }
    }

    /// Returns images `from..to`.
    ///
    /// # Errors
    /// Fails if the range is empty or exceeds the images.
    pub fn slice(&self, from: i64, to: i64) -> Result<Self> {
        if !(0 <= from && from < to && to <= self.len()) {
            return Err(Error::parameter(
                "range of images",
                format!("{from}..{to}"),
                format!("within 0..{}", self.len()),
            ));
        }
        Ok(Self { bytes: self.bytes.narrow(0, from, to - from), pixels: self.pixels })
    }

    /// Adds the images to the hash of a run's training data.
    ///
    /// # Errors
    /// Fails if the images cannot be copied from their device.
    pub(super) fn hash_into(&self, hash: &mut ContentHash) -> Result<()> {
        hash.add_count(self.len() as usize);
        hash.add(&[u8::from(self.pixels == Pixels::Binary)]);
        for start in (0..self.len()).step_by(IMAGES_PER_CALL as usize) {
            let images = self.bytes.narrow(0, start, IMAGES_PER_CALL.min(self.len() - start));
            hash.add(&Vec::<u8>::try_from(&images.f_to_device(Device::Cpu)?.f_reshape([-1])?)?);
        }
        Ok(())
    }

    /// Returns `count` images, or all if there are fewer, at equal distances: a data set may be sorted.
    #[must_use]
    pub fn spread(&self, count: i64) -> Self {
        let count = count.clamp(1, self.len());
        let rows = Tensor::arange(count, (Kind::Int64, self.bytes.device())) * (self.len() / count);
        Self { bytes: self.bytes.index_select(0, &rows), pixels: self.pixels }
    }

    /// Returns the bytes of all images, `[N, size]`, on their device, and the meaning of a byte.
    pub fn content(&self) -> (&Tensor, Pixels) {
        (&self.bytes, self.pixels)
    }

    /// Returns every `period`-th image from `first` on, and the remaining images.
    pub(super) fn every(&self, first: i64, period: i64) -> (Self, Self) {
        let index = Tensor::arange(self.len(), (Kind::Int64, self.bytes.device()));
        let picked = index.remainder(period).eq(first);
        let select = |mask: &Tensor| {
            let rows = index.masked_select(mask);
            Self { bytes: self.bytes.index_select(0, &rows), pixels: self.pixels }
        };
        (select(&picked), select(&picked.logical_not()))
    }

    /// Returns the images with these indices, `[B, size]`, as float32 zeros and ones. Intensities are binarised with
    /// libtorch's global generator.
    pub fn batch(&self, indices: &Tensor) -> Tensor {
        let rows = self.bytes.index_select(0, indices).to_kind(Kind::Float);
        match self.pixels {
            Pixels::Binary => rows,
            Pixels::Intensity => (rows / 255.0).bernoulli(),
        }
    }

    /// Returns all images binarised as by [`fixed_batch`](Self::fixed_batch), for repeated evaluation.
    ///
    /// # Errors
    /// Fails as [`fixed_batch`](Self::fixed_batch) does.
    pub fn binarised(&self) -> Result<Self> {
        let starts = (0..self.len()).step_by(IMAGES_PER_CALL as usize);
        let parts = starts.map(|from| {
            let images = self.fixed_batch(from, (from + IMAGES_PER_CALL).min(self.len()))?;
            Ok(images.f_to_kind(Kind::Uint8)?)
        });
        Ok(Self { bytes: Tensor::f_cat(&parts.collect::<Result<Vec<_>>>()?, 0)?, pixels: Pixels::Binary })
    }

    /// Returns images `from..to` for evaluation, `[to - from, size]`, float32. Intensities are binarised with a fixed
    /// key, so that an image is the same for every model, seed and batch size.
    ///
    /// # Errors
    /// Fails if the range is empty or exceeds the images.
    pub fn fixed_batch(&self, from: i64, to: i64) -> Result<Tensor> {
        let rows = self.slice(from, to)?.bytes.f_to_kind(Kind::Float)?;
        if self.pixels == Pixels::Binary {
            return Ok(rows);
        }
        let first_row = u32::try_from(from).map_err(|_| Error::parameter("first image", from, "below 2^32"))?;
        let noise = NoiseKey { first_row, ..EVALUATION_KEY }.gumbel(&[to - from, 1, self.size()], Kind::Float)?;
        // A Gumbel number lies below -log(-log p) with probability p.
        let threshold = (rows.to_device(Device::Cpu) / 255.0).log().neg().log().neg();
        Ok(noise.squeeze_dim(1).lt_tensor(&threshold).to_kind(Kind::Float).to_device(rows.device()))
    }
}

/// Returns the order in which an epoch visits `count` examples, `[count]`, int64. It depends only on the run's seed and
/// the epoch, and is the same on every machine.
pub fn epoch_order(count: i64, seed: u64, epoch: usize) -> Tensor {
    Tensor::from_slice(&shuffled(count, seed, epoch))
}

/// Returns the order of an epoch as [`epoch_order`] does, as a vector.
pub(super) fn shuffled(count: i64, seed: u64, epoch: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..count).collect();
    order.shuffle(&mut order_generator(seed, epoch));
    order
}

/// Returns the generator that shuffles the examples of an epoch.
pub(super) fn order_generator(seed: u64, epoch: usize) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(epoch as u64);
    generator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_to_evaluate_on_are_binarised_once() {
        let bytes: Vec<u8> = (0..40_000u32).map(|i| [0, 64, 191, 255][i as usize % 4]).collect();
        let images = Images::new(&bytes, 100, 400, Pixels::Intensity).unwrap();
        let whole = images.fixed_batch(0, 100).unwrap();
        let parts: Vec<Tensor> = [(0, 7), (7, 50), (50, 100)].map(|(a, b)| images.fixed_batch(a, b).unwrap()).into();
        tch::manual_seed(5);
        assert_eq!(whole, Tensor::cat(&parts, 0));
        let again = images.binarised().unwrap();
        assert_eq!(again.fixed_batch(0, 100).unwrap(), whole);
        assert_eq!(again.content().1, Pixels::Binary);
        // Means of ten thousand draws each.
        let means = Vec::<f64>::try_from(whole.reshape([-1, 4]).mean_dim(0, false, Kind::Double)).unwrap();
        for (mean, intensity) in means.iter().zip([0.0, 64.0, 191.0, 255.0]) {
            let p: f64 = intensity / 255.0;
            assert!((mean - p).abs() <= 4.0 * (p * (1.0 - p) / 10_000.0).sqrt(), "{mean}, not {p}");
        }
        assert!(images.fixed_batch(3, 3).is_err() && images.fixed_batch(0, 101).is_err());
    }

    #[test]
    fn an_epoch_visits_every_example_once_and_differs_by_seed_and_epoch() {
        let order = |seed, epoch| Vec::<i64>::try_from(epoch_order(1000, seed, epoch)).unwrap();
        let mut sorted = order(3, 1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<i64>>());
        assert_eq!(order(3, 1), order(3, 1));
        assert_ne!(order(3, 1), order(3, 2));
        assert_ne!(order(3, 1), order(4, 1));
        // Pinned: a change of generator would silently change every run.
        assert_eq!(order(3, 1)[..5], [88, 394, 326, 379, 792]);
    }
}
