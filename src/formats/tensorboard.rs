//! Writes event files for TensorBoard: scalars, histograms and pictures over the steps of a run.
//!
//! An event file is a sequence of records: a length, its checksum, the bytes, their checksum. The bytes are a message
//! `Event` in Google's protobuf encoding; the few fields that are needed are encoded here. Each writer makes a new
//! file. TensorBoard shows all files of a folder as one run, in the order of their names, which start with the time.
//!
//! # Source
//! TensorFlow, `core/lib/io/record_writer.cc` (framing, masked checksums), `core/util/event.proto`,
//! `core/framework/summary.proto`.

use crate::error::{Error, Result};
use crate::platform::files::{create_new, make_folder, operation};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tch::{Device, Kind, Tensor};

/// The number of bars of a histogram. TensorBoard redraws them as 30 bars.
const BARS: i64 = 64;

/// Writes the event file of a run.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Creates an event file for a new run, and the folder if it does not exist.
    ///
    /// # Errors
    /// Fails if the folder or the file cannot be created.
    pub fn create(folder: &Path) -> Result<Self> {
        make_folder(folder)?;
        // TensorBoard looks for this name, and it sorts by time. If a file of this microsecond exists, try the next
        // one.
        let (now, path, file) = loop {
            let now = now();
            let name = format!("events.out.tfevents.{now:017.6}.{}.gengs", std::process::id());
            let path = folder.join(name);
            match create_new(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                file => break (now, path, file),
            }
        };
        let file = file.map_err(|error| Error::caused(&path, "cannot be made", error))?;
        let mut writer = Self { path, file: BufWriter::new(file) };
        writer.event(now, None, |event| event.text(3, "brain.Event:2"))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Creates an event file for a run that continues from `step`. TensorBoard then hides the events of older files
    /// from that step on.
    ///
    /// # Errors
    /// Fails as [`create`](Self::create) does.
    pub fn append(folder: &Path, step: i64) -> Result<Self> {
        let mut writer = Self::create(folder)?;
        // A `SessionLog` with status START, whose number is 1.
        writer.event(now(), Some(step), |event| event.message(7, |session| session.varint(1, 1)))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one number. `wall_time` is in seconds since 1970.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: i64, wall_time: f64, value: f64) -> Result<()> {
        self.summary(tag, step, wall_time, |summary| summary.float(2, value as f32))
    }

    /// Writes a histogram of the finite elements of a tensor, with bars of equal width. Writes nothing if no element is
    /// finite.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn histogram(&mut self, tag: &str, step: i64, wall_time: f64, values: &Tensor) -> Result<()> {
        let values = values.detach().f_to_device(Device::Cpu)?.to_kind(Kind::Double).reshape([-1]);
        let values = values.masked_select(&values.isfinite());
        if values.numel() == 0 {
            return Ok(());
        }
        let (min, max) = (values.min().double_value(&[]), values.max().double_value(&[]));
        let (counts, limits) = histogram_bars(&values, min, max)?;
        let (sum, sum_squares) = (values.sum(Kind::Double), values.square().sum(Kind::Double));
        let numbers = [min, max, values.numel() as f64, sum.double_value(&[]), sum_squares.double_value(&[])]
            .into_iter()
            .zip(1..);
        self.summary(tag, step, wall_time, |summary| {
            summary.message(5, |histogram| {
                numbers.for_each(|(number, field)| histogram.double(field, number));
                histogram.doubles(6, &limits);
                histogram.doubles(7, &counts);
            });
        })
    }

    /// Writes a picture in the PNG format, as [`grid_png`](crate::training::grid_png) makes it.
    ///
    /// # Errors
    /// Fails if the bytes do not start as a PNG does, or if the file cannot be written.
    pub fn image(&mut self, tag: &str, step: i64, wall_time: f64, png: &[u8]) -> Result<()> {
        let (Some(b"\x89PNG"), Some(size)) = (png.get(..4), png.get(16..24)) else {
            return Err(Error::parameter(format!("picture '{tag}'"), format!("{} bytes", png.len()), "a PNG"));
        };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        self.summary(tag, step, wall_time, |summary| {
            summary.message(4, |image| {
                image.varint(1, number(&size[4..]));
                image.varint(2, number(&size[..4]));
                // Grey values.
                image.varint(3, 1);
                image.bytes(4, png);
            });
        })
    }

    /// Passes buffered events to the operating system, so that TensorBoard can see them.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|error| Error::caused(&self.path, "cannot be written", error))
    }

    /// Flushes as [`flush`](Self::flush) does, and waits until the file is on disk.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        let synced = operation().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|error| Error::caused(&self.path, "cannot be written", error))
    }

    /// Writes an event with one tagged value.
    fn summary(&mut self, tag: &str, step: i64, wall_time: f64, value: impl FnOnce(&mut Message)) -> Result<()> {
        self.event(wall_time, Some(step), |event| {
            event.message(5, |summary| {
                summary.message(1, |message| {
                    message.text(1, tag);
                    value(message);
                });
            });
        })
    }

    /// Writes an event record with its time and step.
    fn event(&mut self, wall_time: f64, step: Option<i64>, content: impl FnOnce(&mut Message)) -> Result<()> {
        let mut event = Message::default();
        event.double(1, wall_time);
        if let Some(step) = step {
            event.varint(2, step as u64);
        }
        content(&mut event);
        let written = self.file.write_all(&record(&event.0));
        written.map_err(|error| Error::caused(&self.path, "cannot be written", error))
    }
}

/// Returns the time in seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Returns the counts of a histogram's bars, and their upper ends.
fn histogram_bars(values: &Tensor, min: f64, max: f64) -> Result<(Vec<f64>, Vec<f64>)> {
    let width = (max - min) / BARS as f64;
    if !(width > 0.0 && width.is_finite()) || min + width == min || max - width == max {
        // All elements are equal, or the range is too wide for bars in float64.
        return Ok((vec![values.numel() as f64], vec![max]));
    }
    let bar = ((values - min) / width).floor().clamp(0.0, (BARS - 1) as f64).to_kind(Kind::Int64);
    let counts = bar.f_bincount(None::<&Tensor>, BARS)?.to_kind(Kind::Double);
    let limits = (1..=BARS).map(|i| if i == BARS { max } else { min + width * i as f64 }).collect();
    Ok((Vec::try_from(counts)?, limits))
}

/// A protobuf message: encoded fields, in the order in which they are written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Writes a field's number and the encoding of its value: 0 varint, 1 eight bytes, 2 a length and bytes, 5 four
    /// bytes.
    fn key(&mut self, field: u64, encoding: u64) {
        self.number(field << 3 | encoding);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn varint(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.number(number);
    }

    fn double(&mut self, field: u64, x: f64) {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
    }

    fn float(&mut self, field: u64, x: f32) {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn doubles(&mut self, field: u64, numbers: &[f64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.bytes(field, &bytes);
    }

    fn message(&mut self, field: u64, content: impl FnOnce(&mut Message)) {
        let mut message = Message::default();
        content(&mut message);
        self.bytes(field, &message.0);
    }
}

/// Returns a record: the bytes with their length and both checksums.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length, &masked(crc32c(&length)).to_le_bytes()[..], bytes, &masked(crc32c(bytes)).to_le_bytes()].concat()
}

/// Masks a checksum by rotation and an offset, since checksums of bytes that hold their own checksum are unreliable.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Computes the cyclic redundancy check with Castagnoli's polynomial, bits reversed.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut remainder, mut bit) = (i as u32, 0);
            while bit < 8 {
                remainder = if remainder & 1 == 1 { remainder >> 1 ^ 0x82f6_3b78 } else { remainder >> 1 };
                bit += 1;
            }
            table[i] = remainder;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the polynomial, and two values of RFC 3720, B.4.
    #[test]
    fn checksums_are_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
