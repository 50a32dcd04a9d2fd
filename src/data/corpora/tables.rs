//! Tables: CSV and TSV, a document a row.

use super::columns::{Columns, Places, label, longest};
use super::lines::{LONGEST, Origin};
use super::names::{are_names, listed};
use super::quotes::{Quotes, Seen, Watched};
use super::unpack::{self, Decoded};
use crate::error::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::cell::{Cell, RefCell};
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
        let rows = rows(start, delimiter, Quotes::Any);
        let Some(header) = rows.first() else { return false };
        let fits = |row: &Vec<String>| row.len() == header.len();
        rows.len() > 1 && header.len() > 1 && rows.iter().all(fits) && are_names(header)
    })
}

/// The first rows of a table, without the last one, which may be cut off, where the start is not all of it.
fn rows(start: &[u8], delimiter: u8, quotes: Quotes) -> Vec<Vec<String>> {
    let whole = (start.len() as u64) < unpack::START;
    let mut reader = reader(start, delimiter, quotes);
    let records = reader.byte_records().map_while(|record| record.ok());
    let field = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rows: Vec<Vec<String>> = records.take(LOOKED_AT).map(|record| record.iter().map(field).collect()).collect();
    if !whole && rows.len() > 1 && rows.len() < LOOKED_AT {
        rows.pop();
    }
    rows
}

/// Rows may have other numbers of fields than the header; the visit says where.
fn reader<R: Read>(reader: R, delimiter: u8, quotes: Quotes) -> Reader<R> {
    let quoting = quotes != Quotes::Text;
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).quoting(quoting).from_reader(reader)
}

/// What separates fields: that by which the header has the most, of those by which the first rows have as many as it.
/// Where none is by its quotes, a quote may swallow rows, and what separates fields is known by the lines.
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

/// Calls `each` with the text of every row, and what its document is called. `separated` is what separates fields,
/// where the format says so. Returns what a user should know of how the table was read.
///
/// # Errors
/// When there is no column of texts, a row has other fields than the header, or a quoted field does not end; and those
/// of `each`.
pub(super) fn visit(
    origin: Origin<'_>,
    separated: Option<u8>,
    columns: &Columns,
    each: &mut dyn FnMut(&str, Option<&str>) -> Result<()>,
) -> Result<Vec<String>> {
    let Decoded { reader: text, replaced } = origin.open_text()?;
    let (start, rest) = unpack::started(origin.path(), text)?;
    let quotes = columns.quotes;
    let delimiter = separated.unwrap_or_else(|| delimiter(&start, quotes));
    let rows = rows(&start, delimiter, quotes);
    let has_header = columns.are_named(&rows);
    let (left, seen) = (Rc::new(Cell::new(LONGEST)), Rc::new(RefCell::new(Seen::default())));
    let metered = Metered { reader: rest, left: Rc::clone(&left) };
    let source: Box<dyn Read + '_> = match quotes {
        Quotes::Paired => Box::new(Watched::new(metered, delimiter, Rc::clone(&seen))),
        Quotes::Any | Quotes::Text => Box::new(metered),
    };
    let mut reader = reader(source, delimiter, quotes);
    let mut table = Table { origin, columns, rows: &rows[usize::from(has_header).min(rows.len())..], layout: None };
    let mut record = ByteRecord::new();
    loop {
        left.set(LONGEST);
        let more = reader.read_byte_record(&mut record).map_err(|error| match seen.borrow_mut().problem.take() {
            Some(problem) => Error::Quotes { path: origin.path().into(), problem },
            None => Error::caused(origin.path(), "cannot be read", error),
        })?;
        if !more {
            break;
        }
        table.row(&record, has_header, each)?;
    }
    let layout = table.layout.map(|layout| layout.note(columns, has_header));
    Ok(layout.into_iter().chain(seen.borrow().note()).chain(unpack::note(replaced.get())).collect())
}

/// A table that is being read.
struct Table<'a> {
    origin: Origin<'a>,
    columns: &'a Columns,
    /// The first rows, without the header.
    rows: &'a [Vec<String>],
    /// Known with the first line.
    layout: Option<Layout>,
}

/// Which columns there are, and which are wanted.
struct Layout {
    names: Vec<String>,
    places: Places,
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
                    return Err(headless(self.origin.path(), &first, self.rows));
                }
                // Columns without names have their numbers.
                let names =
                    if has_header { first } else { (1..=first.len()).map(|number| number.to_string()).collect() };
                let places = self.columns.places(self.origin.path(), &names, self.rows)?;
                let layout = none.insert(Layout { names, places });
                if has_header {
                    return Ok(());
                }
                layout
            }
        };
        let Layout { names, places } = layout;
        if fields.len() != names.len() {
            return Err(wrong(format!(
                "line {line} has {} fields, but the first has {}; a field that holds a separator or a line break must \
                 stand in double quotes",
                fields.len(),
                names.len()
            )));
        }
        let filled = |at: usize| Some(fields[at].to_string()).filter(|field| !field.trim().is_empty());
        let label = label(places.id.and_then(filled), places.title.and_then(filled));
        each(fields[places.text], label.as_deref())
    }
}

impl Layout {
    /// Where the text is, and what the first line was taken for.
    fn note(self, columns: &Columns, has_header: bool) -> String {
        let Self { names, places } = self;
        let place = format!("the text is in column {} of {}", places.text + 1, names.len());
        if !has_header {
            return format!(
                "{place}; line 1 is a document and holds no names of columns (header 'yes' takes it for these)"
            );
        }
        let others: Vec<String> = columns.others(&names, places.text).into_iter().cloned().collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(", and not in {}, which could be meant, too", listed(others)),
        };
        let name = listed(&names[places.text..=places.text]);
        format!("{place}, {name}{others}; line 1 holds the names of columns (header 'no' takes it for a document)")
    }
}

/// A table whose first line is no header, so that columns are told by their numbers.
fn headless(path: &Path, fields: &[String], rows: &[Vec<String>]) -> Error {
    let problem = format!("its first line is no header ({}), unless header is 'yes'", listed(fields));
    Error::TextColumn { path: path.into(), problem, likely: (longest(fields.len(), rows) + 1).to_string() }
}

/// A reader that ends with an error where a row takes too long: a quote that is not closed would take the rest of the
/// file.
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
