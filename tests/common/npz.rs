//! Archives of integers as `numpy.savez` and `numpy.savez_compressed` write them.

use std::io::{Cursor, Write};
use zip::CompressionMethod;
use zip::write::{FileOptions, ZipWriter};

pub enum Numbers<'a> {
    U1(&'a [u8]),
    U2(&'a [u16]),
    I4(&'a [i32]),
}

fn npy(numbers: &Numbers<'_>) -> Vec<u8> {
    let (kind, length, bytes): (_, _, Vec<u8>) = match numbers {
        Numbers::U1(bytes) => ("|u1", bytes.len(), bytes.to_vec()),
        Numbers::U2(numbers) => {
            ("<u2", numbers.len(), numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        }
        Numbers::I4(numbers) => {
            ("<i4", numbers.len(), numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        }
    };
    let dict = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({length},), }}");
    let dict = format!("{dict:<117}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((dict.len() as u16).to_le_bytes());
    file.extend(dict.as_bytes());
    file.extend(bytes);
    file
}

pub fn archive(arrays: &[(&str, Numbers<'_>)], compressed: bool) -> Vec<u8> {
    let method = if compressed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, numbers) in arrays {
        zip.start_file(format!("{name}.npy"), FileOptions::default().compression_method(method)).unwrap();
        zip.write_all(&npy(numbers)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
