//! Arrays of numbers as other programs store them, and what they are as images.

use crate::error::Result;
use tch::{Kind, Tensor};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Text of fixed length.
    Text,
}

/// Why an array holds no intensities.
#[derive(Debug)]
pub(crate) struct NoIntensities {
    /// What it holds.
    pub found: String,
    /// Python that makes intensities of it, `x`.
    pub made: &'static str,
}

/// An array as it is stored.
#[derive(Debug)]
pub(crate) struct Array {
    pub number: Number,
    /// Bytes of a number.
    pub item: usize,
    pub big_endian: bool,
    /// Whether the first dimension is the fastest.
    pub fortran: bool,
    pub shape: Vec<i64>,
    /// What its own program calls the type.
    pub kind: String,
    pub bytes: Vec<u8>,
}

impl Array {
    /// Whether it holds unsigned bytes or booleans.
    pub fn is_bytes(&self) -> bool {
        self.item == 1 && matches!(self.number, Number::Unsigned | Number::Bool)
    }

    /// Shape and bytes, in C order, of an array of bytes.
    pub fn into_bytes(self) -> Result<(Vec<i64>, Vec<u8>)> {
        let bytes = if self.fortran { transposed(&self.bytes, &self.shape)? } else { self.bytes };
        Ok((self.shape, bytes))
    }

    /// As intensities from 0 to 255: of integers in that range these, of shares from 0 to 1 (booleans, integers,
    /// floating point) 255 times as much, rounded.
    ///
    /// # Errors
    /// With what was found, and the Python that makes intensities of such an `x`.
    pub fn into_intensities(mut self) -> Result<std::result::Result<Self, NoIntensities>> {
        let refused = |found: String, made: &'static str| Ok(Err(NoIntensities { found, made }));
        if !self.is_bytes() {
            if self.number == Number::Text {
                let made = if self.item == 1 { "x.view('uint8')" } else { "x.astype('uint8')" };
                return refused(format!("text of type '{}'", self.kind), made);
            }
            let range = (f64::INFINITY, f64::NEG_INFINITY, false);
            let look = |(low, high, nan): (f64, f64, bool), x: f64| (low.min(x), high.max(x), nan || x.is_nan());
            let (lowest, highest, has_nan) = self.numbers().fold(range, look);
            let is_share = self.number == Number::Float && highest <= 1.0;
            let is_whole = self.number != Number::Float && highest <= 255.0;
            if has_nan {
                let found = format!("numbers of type '{}', some of which are NaN", self.kind);
                return refused(found, "numpy.nan_to_num(x)");
            }
            if lowest < 0.0 || !(is_share || is_whole) {
                let made = match self.number {
                    // Bytes that were read as signed ones.
                    Number::Signed if self.item == 1 => "x.view('uint8')",
                    Number::Float if lowest >= 0.0 && (128.0..=255.0).contains(&highest) => "x.round().astype('uint8')",
                    Number::Float if lowest >= -1.0 && highest <= 1.0 => "(x + 1) / 2",
                    _ => "(x - x.min()) / (x.max() - x.min())",
                };
                return refused(format!("numbers of type '{}' from {lowest} to {highest}", self.kind), made);
            }
            let scale = if is_share { 255.0 } else { 1.0 };
            // Between 0 and 255, as was checked.
            self.bytes = self.numbers().map(|x| (x * scale).round() as u8).collect();
            self.item = 1;
            self.number = Number::Unsigned;
        }
        if self.bytes.iter().all(|&byte| byte <= 1) {
            self.bytes.iter_mut().for_each(|byte| *byte *= 255);
        }
        Ok(Ok(self))
    }

    /// All numbers, in their order; one at a time, since together they may take eight times the room of the file.
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        self.whole().map(|whole| match (self.number, self.item) {
            (Number::Float, 2) => half(u16::from_le_bytes([whole[0], whole[1]])),
            (Number::Float, 4) => f64::from(f32::from_le_bytes([whole[0], whole[1], whole[2], whole[3]])),
            (Number::Float, _) => f64::from_le_bytes(whole),
            (Number::Signed, _) => i64::from_le_bytes(whole) as f64,
            _ => u64::from_le_bytes(whole) as f64,
        })
    }

    /// The bytes of every number, of at most eight bytes, as a little-endian one of eight; of signed ones with their
    /// sign.
    pub fn whole(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.bytes.chunks_exact(self.item.max(1)).map(|item| {
            let mut whole = [0; 8];
            whole[..item.len()].copy_from_slice(item);
            if self.big_endian {
                whole[..item.len()].reverse();
            }
            if self.number == Number::Signed && whole[item.len() - 1] >= 0x80 {
                whole[item.len()..].fill(0xff);
            }
            whole
        })
    }
}

/// A number of half precision.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f64.powi(-14),
        0x1f if fraction > 0.0 => f64::NAN,
        0x1f => f64::INFINITY,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// From Fortran order, first dimension fastest, to C order.
fn transposed(bytes: &[u8], shape: &[i64]) -> Result<Vec<u8>> {
    let reversed: Vec<i64> = shape.iter().rev().copied().collect();
    let dimensions: Vec<i64> = (0..shape.len() as i64).rev().collect();
    let tensor = Tensor::from_slice(bytes).reshape(reversed).permute(dimensions);
    Ok(Vec::try_from(tensor.to_kind(Kind::Uint8).reshape([-1]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(number: Number, item: usize, big_endian: bool, bytes: Vec<u8>) -> Array {
        let shape = vec![(bytes.len() / item) as i64];
        Array { number, item, big_endian, fortran: false, shape, kind: "kind".into(), bytes }
    }

    #[track_caller]
    fn read(number: Number, item: usize, big_endian: bool, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
        array(number, item, big_endian, bytes)
            .into_intensities()
            .unwrap()
            .map(|array| array.bytes)
            .map_err(|refused| refused.found)
    }

    #[test]
    fn numbers_of_every_kind_are_intensities_or_refused() {
        use Number::{Float, Signed, Unsigned};
        let shares = [0.0f64, 0.5, 1.0];
        let of = |bytes: Vec<u8>, item, big| read(Float, item, big, bytes).unwrap();
        let expected = [0, 128, 255];
        assert_eq!(of(shares.iter().flat_map(|x| x.to_le_bytes()).collect(), 8, false), expected);
        assert_eq!(of(shares.iter().flat_map(|x| (*x as f32).to_be_bytes()).collect(), 4, true), expected);
        assert_eq!(of(vec![0, 0, 0, 0x38, 0, 0x3c], 2, false), expected);
        for (wrong, said) in [(-0.1f64, "from -0.1 to"), (1.5, "to 1.5"), (f64::NAN, "NaN"), (f64::INFINITY, "to inf")]
        {
            let refused =
                read(Float, 8, false, [0.5, wrong].iter().flat_map(|x| x.to_le_bytes()).collect()).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        assert_eq!(
            read(Signed, 8, false, [0i64, 7, 255].iter().flat_map(|x| x.to_le_bytes()).collect()).unwrap(),
            [0, 7, 255]
        );
        assert_eq!(
            read(Signed, 4, true, [0i32, 1, 1].iter().flat_map(|x| x.to_be_bytes()).collect()).unwrap(),
            [0, 255, 255]
        );
        assert_eq!(read(Unsigned, 2, false, vec![0, 0, 1, 0]).unwrap(), [0, 255]);
        assert!(read(Unsigned, 2, false, vec![0, 1]).unwrap_err().contains("to 256"));
        assert!(read(Signed, 1, false, vec![3, 0xff]).unwrap_err().contains("from -1 to 3"));
        assert!(read(Number::Text, 1, false, vec![3]).unwrap_err().contains("text"));
        assert_eq!(read(Number::Bool, 1, false, vec![1, 0]).unwrap(), [255, 0]);
    }

    #[test]
    fn half_precision_is_that_of_ieee() {
        for (bits, number) in [(0x0001, 2f64.powi(-24)), (0x3555, 0.333251953125), (0x7bff, 65504.0), (0xc000, -2.0)] {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7e00).is_nan());
    }
}
