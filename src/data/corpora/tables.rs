//! Tables: CSV and TSV, a document a row.

use super::columns::{Columns, Places, are_names, label, listed, looks_like_names};
use super::lines::{LONGEST, Origin};
use super::unpack;
use crate::error::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::cell::Cell;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

/// What may stand between the fields of a table, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Rows by which a table is known.
const LOOKED_AT: usize = 20;

/// Whether a text starts as a table with a header does that names a column of texts: every row has as many fields.
pub(super) fn is_table(start: &[u8]) -> bool {
    DELIMITERS.iter().any(|&delimiter| {
        let rows = rows(start, delimiter);
        let Some(header) = rows.first() else { return false };
        let fits = |row: &Vec<String>| row.len() == header.len();
        rows.len() > 1 && header.len() > 1 && rows.iter().all(fits) && are_names(header)
    })
}

/// The first rows of a table, without the last one, which may be cut off, where the start is not all of it.
fn rows(start: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let whole = (start.len() as u64) < unpack::START;
    let mut reader = reader(start, delimiter);
    let records = reader.byte_records().map_while(|record| record.ok());
    let field = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rows: Vec<Vec<String>> = records.take(LOOKED_AT).map(|record| record.iter().map(field).collect()).collect();
    if !whole && rows.len() > 1 && rows.len() < LOOKED_AT {
        rows.pop();
    }
    rows
}

/// Rows may have other numbers of fields than the header; the visit says where.
fn reader<R: Read>(reader: R, delimiter: u8) -> Reader<R> {
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(reader)
}

/// What separates fields: that by which the header has the most, of those by which the first rows have as many as it.
fn delimiter(start: &[u8]) -> u8 {
    let fields = |delimiter: u8| {
        let rows = rows(start, delimiter);
        let header = rows.first().map_or(0, Vec::len);
        if rows.iter().all(|row| row.len() == header) { header } else { 0 }
    };
    let mut best = (DELIMITERS[0], 1);
    for delimiter in DELIMITERS {
        let fields = fields(delimiter);
        if fields > best.1 {
            best = (delimiter, fields);
        }
    }
    best.0
}

/// Calls `each` with the text of every row, and what its document is called. `separated` is what separates fields, where the format says so.
///
/// # Errors
/// When there is no column of texts, or a row has other fields than the header; and those of `each`.
pub(super) fn visit(
    origin: Origin<'_>,
    separated: Option<u8>,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<()> {
    let (start, rest) = unpack::started(origin.path(), origin.open_text()?)?;
    let left = Rc::new(Cell::new(LONGEST));
    let mut reader =
        reader(Metered { reader: rest, left: Rc::clone(&left) }, separated.unwrap_or_else(|| delimiter(&start)));
    let mut table = Table { origin, header: None, columns };
    let mut record = ByteRecord::new();
    loop {
        left.set(LONGEST);
        let more = reader.read_byte_record(&mut record);
        if !more.map_err(|error| Error::caused(origin.path(), "cannot be read", error))? {
            return Ok(());
        }
        table.row(&record, each)?;
    }
}

/// A table that is being read.
struct Table<'a> {
    origin: Origin<'a>,
    header: Option<Header>,
    columns: &'a Columns,
}

struct Header {
    names: Vec<String>,
    /// Known with the first row under the header.
    places: Option<Places>,
}

impl Table<'_> {
    fn row(&mut self, record: &ByteRecord, each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>) -> Result<()> {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |problem: String| Error::file(self.origin.path(), problem);
        let mut fields = Vec::with_capacity(record.len());
        for field in record {
            fields.push(std::str::from_utf8(field).map_err(|_| self.origin.not_utf8(line))?);
        }
        let owned = || fields.iter().map(ToString::to_string).collect::<Vec<String>>();
        let header = match &mut self.header {
            Some(header) => header,
            none => {
                let names = owned();
                if looks_like_names(&names) && (names.len() > 1 || are_names(&names)) {
                    *none = Some(Header { names, places: None });
                    return Ok(());
                }
                if self.columns.text.is_none() && names.len() > 1 {
                    return Err(headless(self.origin.path(), &names));
                }
                // Columns without names have their numbers.
                none.insert(Header {
                    names: (1..=names.len()).map(|number| number.to_string()).collect(),
                    places: None,
                })
            }
        };
        if fields.len() != header.names.len() {
            return Err(wrong(format!(
                "line {line} has {} fields, but the first has {}; a field that holds a separator or a line break must stand in double quotes",
                fields.len(),
                header.names.len()
            )));
        }
        let places = match header.places {
            Some(places) => places,
            None => *header.places.insert(self.columns.places(self.origin.path(), &header.names, &owned())?),
        };
        let filled = |at: usize| Some(fields[at].to_string()).filter(|field| !field.trim().is_empty());
        let label = label(places.id.and_then(filled), places.title.and_then(filled));
        each(fields[places.text], label.as_deref())
    }
}

/// A table whose first line is no header, so that columns are told by their numbers.
fn headless(path: &Path, fields: &[String]) -> Error {
    let longest = (0..fields.len()).max_by_key(|&at| fields[at].chars().count()).unwrap_or(0);
    let problem = format!("its first line is no header ({})", listed(fields));
    Error::TextColumn { path: path.into(), problem, likely: (longest + 1).to_string() }
}

/// A reader that ends with an error where a row takes too long: a quote that is not closed would take the rest of the file.
struct Metered<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.get().checked_sub(read as u64) {
            Some(left) => self.left.set(left),
            None => {
                return Err(std::io::Error::other(format!(
                    "a row is longer than {LONGEST} bytes; is a quote not closed?"
                )));
            }
        }
        Ok(read)
    }
}
