//! Reads tables, CSV and TSV, with one document per row.

use super::columns::{ColumnIndices, Columns, id_and_title, longest_column};
use super::lines::{MAX_LINE_BYTES, Origin};
use super::names::{are_names, quoted_list};
use super::quotes::{CheckedQuotes, Findings, Quotes};
use super::unpack::{self, Decoded};
use crate::error::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

/// The possible delimiters of fields, the most likely first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The number of rows from which a table's format is detected.
const DETECTION_ROWS: usize = 20;

/// Returns whether a text starts as a table whose header names a text column: every row has as many fields.
pub(super) fn is_table(start: &[u8]) -> bool {
    DELIMITERS.iter().any(|&delimiter| {
        let rows = rows(start, delimiter, Quotes::Any);
        let Some(header) = rows.first() else { return false };
        let fits = |row: &Vec<String>| row.len() == header.len();
        rows.len() > 1 && header.len() > 1 && rows.iter().all(fits) && are_names(header)
    })
}

/// Returns the first rows of a table. The last row is left out if `start` is only a part of the table and may end in
/// it.
fn rows(start: &[u8], delimiter: u8, quotes: Quotes) -> Vec<Vec<String>> {
    let is_complete = (start.len() as u64) < unpack::DETECTION_BYTES;
    let mut reader = reader(start, delimiter, quotes);
    let records = reader.byte_records().map_while(|record| record.ok());
    let field = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rows: Vec<Vec<String>> =
        records.take(DETECTION_ROWS).map(|record| record.iter().map(field).collect()).collect();
    if !is_complete && rows.len() > 1 && rows.len() < DETECTION_ROWS {
        rows.pop();
    }
    rows
}

/// Makes a reader. It accepts rows with other numbers of fields than the header; `Table::row` reports them.
fn reader<R: Read>(reader: R, delimiter: u8, quotes: Quotes) -> Reader<R> {
    let quoting = quotes != Quotes::Text;
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting).from_reader(reader)
}

/// Detects the delimiter: the one with the most fields in the header, among those with equal numbers of fields in the
/// first rows. If the quotes let none fit, an unclosed quote may take in rows; then the delimiter is detected with
/// quotes as letters.
fn delimiter(start: &[u8], quotes: Quotes) -> u8 {
    let by_lines = (quotes == Quotes::Paired).then_some(Quotes::Text);
    let found = std::iter::once(quotes).chain(by_lines).find_map(|quotes| {
        let mut best = (DELIMITERS[0], 1);
        for delimiter in DELIMITERS {
            let rows = rows(start, delimiter, quotes);
            let header = rows.first().map_or(0, Vec::len);
            if header > best.1 && rows.iter().all(|row| row.len() == header) {
                best = (delimiter, header);
            }
        }
        (best.1 > 1).then_some(best.0)
    });
    found.unwrap_or(DELIMITERS[0])
}

/// Calls `each` with the text and the label of every row. `given_delimiter` is the delimiter, if the format determines
/// it. Returns notes for the user about how the table was read.
///
/// # Errors
/// Fails if there is no text column, if a row has another number of fields than the header, or if a quoted field does
/// not end; and as `each` does.
pub(super) fn visit(
    origin: Origin<'_>,
    given_delimiter: Option<u8>,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Vec<String>> {
    let Decoded { reader: text, replaced } = origin.open_text()?;
    let (start, rest) = unpack::read_start(origin.path(), text)?;
    let quotes = columns.quotes;
    let delimiter = given_delimiter.unwrap_or_else(|| delimiter(&start, quotes));
    let rows = rows(&start, delimiter, quotes);
    let has_header = columns.has_header(&rows);
    let (bytes_left, findings) = (Rc::new(Cell::new(MAX_LINE_BYTES)), Rc::new(RefCell::new(Findings::default())));
    let limited = LimitedRows { reader: rest, bytes_left: Rc::clone(&bytes_left) };
    let source: Box<dyn Read + '_> = match quotes {
        Quotes::Paired => Box::new(CheckedQuotes::new(limited, delimiter, Rc::clone(&findings))),
        Quotes::Any | Quotes::Text => Box::new(limited),
    };
    let mut reader = reader(source, delimiter, quotes);
    let mut table = Table { origin, columns, rows: &rows[usize::from(has_header).min(rows.len())..], layout: None };
    let mut record = ByteRecord::new();
    loop {
        bytes_left.set(MAX_LINE_BYTES);
        let has_row =
            reader.read_byte_record(&mut record).map_err(|error| match findings.borrow_mut().problem.take() {
                Some(problem) => Error::Quotes { path: origin.path().into(), problem },
                None => Error::caused(origin.path(), "cannot be read", error),
            })?;
        if !has_row {
            break;
        }
        table.row(&record, has_header, each)?;
    }
    let layout = table.layout.map(|layout| layout.note(columns, has_header));
    Ok(layout.into_iter().chain(findings.borrow().note()).chain(unpack::note(replaced.get())).collect())
}

/// The state of reading a table.
struct Table<'a> {
    origin: Origin<'a>,
    columns: &'a Columns,
    /// The first rows, without the header.
    rows: &'a [Vec<String>],
    /// The columns; known after the first line.
    layout: Option<Layout>,
}

/// The names of all columns, and the indices of those that are read.
struct Layout {
    names: Vec<String>,
    indices: ColumnIndices,
}

impl Table<'_> {
    fn row(
        &mut self,
        record: &ByteRecord,
        has_header: bool,
        each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
    ) -> Result<()> {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |problem: String| Error::file(self.origin.path(), problem);
        let mut fields = Vec::with_capacity(record.len());
        for field in record {
            fields.push(std::str::from_utf8(field).map_err(|_| self.origin.not_utf8(line))?);
        }
        let layout = match &mut self.layout {
            Some(layout) => layout,
            none => {
                let first: Vec<String> = fields.iter().map(ToString::to_string).collect();
                if !has_header && self.columns.text.is_none() && first.len() > 1 {
                    return Err(no_header(self.origin.path(), &first, self.rows));
                }
                // Columns without names are named by their numbers.
                let names =
                    if has_header { first } else { (1..=first.len()).map(|number| number.to_string()).collect() };
                let indices = self.columns.find_indices(self.origin.path(), &names, self.rows)?;
                let layout = none.insert(Layout { names, indices });
                if has_header {
                    return Ok(());
                }
                layout
            }
        };
        let Layout { names, indices } = layout;
        if fields.len() != names.len() {
            return Err(wrong(format!(
                "line {line} has {} fields, but the first has {}; a field that holds a separator or a line break must \
                 stand in double quotes",
                fields.len(),
                names.len()
            )));
        }
        let nonblank = |at: usize| Some(fields[at].to_string()).filter(|field| !field.trim().is_empty());
        let label = id_and_title(indices.id.and_then(nonblank), indices.title.and_then(nonblank));
        each(fields[indices.text], label.as_deref())
    }
}

impl Layout {
    /// Returns a note about the text column, and about the role of the first line.
    fn note(self, columns: &Columns, has_header: bool) -> String {
        let Self { names, indices } = self;
        let place = format!("the text is in column {} of {}", indices.text + 1, names.len());
        if !has_header {
            return format!("{place}; line 1 is a document (header 'yes' makes it the names of the columns)");
        }
        let others: Vec<String> = columns.other_candidates(&names, indices.text).into_iter().cloned().collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(", not in {}, which could also be meant", quoted_list(others)),
        };
        let name = quoted_list(&names[indices.text..=indices.text]);
        format!("{place}, {name}{others}; line 1 holds the names of the columns (header 'no' makes it a document)")
    }
}

/// Makes the error that the first line of a table is no header, so that the text column must be named by number.
fn no_header(path: &Path, fields: &[String], rows: &[Vec<String>]) -> Error {
    let problem = format!("its first line is no header ({}), unless header is 'yes'", quoted_list(fields));
    Error::TextColumn { path: path.into(), problem, likely: (longest_column(fields.len(), rows) + 1).to_string() }
}

/// A reader that fails if a row is too long: an unclosed quote would take in the rest of the file.
struct LimitedRows<R> {
    reader: R,
    bytes_left: Rc<Cell<u64>>,
}

impl<R: Read> Read for LimitedRows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.bytes_left.get().checked_sub(read as u64) {
            Some(bytes_left) => self.bytes_left.set(bytes_left),
            None => {
                return Err(std::io::Error::other(format!(
                    "a row is longer than {MAX_LINE_BYTES} bytes; is a quote not closed?"
                )));
            }
        }
        Ok(read)
    }
}
