//! Arrays of numbers from files of other programs, and their conversion to image intensities.

use crate::error::Result;
use tch::{Kind, Tensor};

/// The kind of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Text of fixed length.
    Text,
}

/// Why an array cannot be converted to intensities.
#[derive(Debug)]
pub(crate) struct NoIntensities {
    /// The kind and the range of the elements.
    pub found: String,
    /// Python code that converts the array `x` to intensities.
    pub python: &'static str,
}

/// An array as it is stored in a file.
#[derive(Debug)]
pub(crate) struct Array {
    pub number: Number,
    /// Bytes per element.
    pub item: usize,
    pub big_endian: bool,
    /// Whether the first dimension varies fastest.
    pub fortran: bool,
    pub shape: Vec<i64>,
    /// The name of the element type in the program that wrote the file.
    pub kind: String,
    pub bytes: Vec<u8>,
}

impl Array {
    /// Returns whether the elements are unsigned bytes or booleans.
    pub fn is_bytes(&self) -> bool {
        self.item == 1 && matches!(self.number, Number::Unsigned | Number::Bool)
    }

    /// Returns the shape of an array of bytes, and its bytes in C order.
    pub fn into_bytes(self) -> Result<(Vec<i64>, Vec<u8>)> {
        let bytes = if self.fortran { transposed(&self.bytes, &self.shape)? } else { self.bytes };
        Ok((self.shape, bytes))
    }

    /// Converts the elements to intensities from 0 to 255. Elements between 0 and 1 are multiplied by 255 and rounded;
    /// integers up to 255 stay.
    ///
    /// # Errors
    /// Returns `NoIntensities` if the elements are text, NaN, or out of range. Fails if libtorch does.
    pub fn into_intensities(mut self) -> Result<std::result::Result<Self, NoIntensities>> {
        let refused = |found: String, python: &'static str| Ok(Err(NoIntensities { found, python }));
        if !self.is_bytes() {
            if self.number == Number::Text {
                let python = if self.item == 1 { "x.view('uint8')" } else { "x.astype('uint8')" };
                return refused(format!("text of type '{}'", self.kind), python);
            }
            let range = (f64::INFINITY, f64::NEG_INFINITY, false);
            let widen = |(low, high, nan): (f64, f64, bool), x: f64| (low.min(x), high.max(x), nan || x.is_nan());
            let (lowest, highest, has_nan) = self.numbers().fold(range, widen);
            let is_share = self.number == Number::Float && highest <= 1.0;
            let is_whole = self.number != Number::Float && highest <= 255.0;
            if has_nan {
                let found = format!("numbers of type '{}', some of which are NaN", self.kind);
                return refused(found, "numpy.nan_to_num(x)");
            }
            if lowest < 0.0 || !(is_share || is_whole) {
                let python = match self.number {
                    // Bytes that were read as signed numbers.
                    Number::Signed if self.item == 1 => "x.view('uint8')",
                    Number::Float if lowest >= 0.0 && (128.0..=255.0).contains(&highest) => "x.round().astype('uint8')",
                    Number::Float if lowest >= -1.0 && highest <= 1.0 => "(x + 1) / 2",
                    _ => "(x - x.min()) / (x.max() - x.min())",
                };
                return refused(format!("numbers of type '{}' from {lowest} to {highest}", self.kind), python);
            }
            let scale = if is_share { 255.0 } else { 1.0 };
            // The check above ensures that the products lie from 0 to 255.
            self.bytes = self.numbers().map(|x| (x * scale).round() as u8).collect();
            self.item = 1;
            self.number = Number::Unsigned;
        }
        if self.bytes.iter().all(|&byte| byte <= 1) {
            self.bytes.iter_mut().for_each(|byte| *byte *= 255);
        }
        Ok(Ok(self))
    }

    /// Iterates over the elements in their order. A list of them could take eight times the memory of the file.
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        self.eight_bytes().map(|bytes| match (self.number, self.item) {
            (Number::Float, 2) => half(u16::from_le_bytes([bytes[0], bytes[1]])),
            (Number::Float, 4) => f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            (Number::Float, _) => f64::from_le_bytes(bytes),
            (Number::Signed, _) => i64::from_le_bytes(bytes) as f64,
            _ => u64::from_le_bytes(bytes) as f64,
        })
    }

    /// Iterates over the elements, of at most eight bytes each, as eight little-endian bytes; signed numbers are
    /// sign-extended.
    pub fn eight_bytes(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.bytes.chunks_exact(self.item.max(1)).map(|item| {
            let mut bytes = [0; 8];
            bytes[..item.len()].copy_from_slice(item);
            if self.big_endian {
                bytes[..item.len()].reverse();
            }
            if self.number == Number::Signed && bytes[item.len() - 1] >= 0x80 {
                bytes[item.len()..].fill(0xff);
            }
            bytes
        })
    }
}

/// Decodes a number of half precision.
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

/// Reorders bytes from Fortran order, with the first dimension fastest, to C order.
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
        let read_floats = |bytes: Vec<u8>, item, big| read(Float, item, big, bytes).unwrap();
        let expected = [0, 128, 255];
        assert_eq!(read_floats(shares.iter().flat_map(|x| x.to_le_bytes()).collect(), 8, false), expected);
        assert_eq!(read_floats(shares.iter().flat_map(|x| (*x as f32).to_be_bytes()).collect(), 4, true), expected);
        assert_eq!(read_floats(vec![0, 0, 0, 0x38, 0, 0x3c], 2, false), expected);
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
    fn half_precision_follows_ieee_754() {
        for (bits, number) in [(0x0001, 2f64.powi(-24)), (0x3555, 0.333251953125), (0x7bff, 65504.0), (0xc000, -2.0)] {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7e00).is_nan());
    }
}
