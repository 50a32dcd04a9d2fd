//! Checks the double quotes of a table.
//!
//! A quote at the start of a field opens a quoted field. The field ends at the next single quote, possibly in another
//! row. So if a text merely begins with a quote, the field takes in all rows up to the next quote. Other readers do not
//! report this (Python's csv, Excel), or only at the end of the file (pandas). The reader here checks every row:
//!
//! ```text
//! the file ends within a quoted field                                 an error
//! the next quote is in another line, and does not end the field       an error
//! every line of a row reads as a row: ten lines or more;              an error
//! with tabs between fields, two lines or more
//! the same for fewer lines, or ten or more in a table of one column   counted, and reported as a note
//! the next quote is in the same line, and does not end the field      the rest belongs to the field
//! ```

use crate::choice::choices;
use std::cell::RefCell;
use std::io::{Error, Read};
use std::rc::Rc;

choices! {
    "quotes";
    /// How double quotes in a table are read.
    #[derive(Default)]
    pub enum Quotes {
        /// Quotes enclose a field, and a quote inside is doubled; a field that begins with a quote must end with one
        #[default]
        Paired = "paired",
        /// Quotes enclose a field, over any number of rows, without checks, as in runs without this setting
        Any = "any",
        /// Quotes are ordinary letters, in tables whose texts have no line breaks and no separators
        Text = "text",
    }
}

/// The fewest lines of a row that are an error if each reads as a row: chance makes hardly so many.
const MANY_LINES: u64 = 10;

/// The findings about a table so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Why the quotes cannot be right.
    pub problem: Option<String>,
    /// The number of quoted rows whose lines all read as rows, and the first line of the first.
    doubtful: (u64, u64),
}

impl Findings {
    /// Returns a note for the user about doubtful rows.
    pub fn note(&self) -> Option<String> {
        let (count, line) = self.doubtful;
        (count > 0).then(|| {
            format!(
                "quoted fields that go over several lines, all of which read as rows of their own: {count}, the first \
                 from line {line} on; if a \
                 quote there only belongs to the text, rows are lost, and quotes 'text' reads them"
            )
        })
    }
}

/// The position of the reader in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field, which ends the field unless another quote follows.
    Closed,
}

/// Passes the bytes of a table on to a reader, and checks their quotes.
pub(super) struct CheckedQuotes<R> {
    reader: R,
    delimiter: u8,
    state: State,
    /// Number of fields in the first row, once it is known.
    columns: Option<usize>,
    /// Number of fields of the current row so far.
    fields: usize,
    /// The number of the current line from 1, its bytes, and the first line of the current row.
    number: u64,
    line: Vec<u8>,
    row_line: u64,
    /// The line in which the last quoted field was opened.
    quote_line: u64,
    /// Whether all lines of the current row so far read as rows.
    are_rows: bool,
    findings: Rc<RefCell<Findings>>,
}

impl<R: Read> CheckedQuotes<R> {
    pub fn new(reader: R, delimiter: u8, findings: Rc<RefCell<Findings>>) -> Self {
        let (columns, line) = (None, Vec::new());
        Self {
            reader,
            delimiter,
            state: State::Start,
            columns,
            fields: 1,
            number: 1,
            line,
            row_line: 1,
            quote_line: 0,
            are_rows: true,
            findings,
        }
    }

    /// Checks the next byte.
    fn check_byte(&mut self, byte: u8) -> Result<(), String> {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        if !is_line_end {
            self.line.push(byte);
        }
        self.state = match self.state {
            // A byte order mark does not belong to the first field.
            State::Start if self.number == 1 && self.fields == 1 && is_mark(&self.line) => State::Start,
            State::Start if byte == b'"' => {
                self.quote_line = self.number;
                State::Quoted
            }
            State::Quoted if byte == b'"' => State::Closed,
            State::Closed if byte == b'"' => State::Quoted,
            State::Quoted => State::Quoted,
            _ if is_line_end => {
                self.end_row()?;
                State::Start
            }
            _ if byte == self.delimiter => {
                self.fields += 1;
                State::Start
            }
            State::Closed if self.number > self.quote_line => {
                return Err(format!(
                    "line {} begins a field with a double quote, and the next quote, in line {}, does not end that \
                    field, so that everything between them would be one text",
                    self.quote_line, self.number
                ));
            }
            _ => State::Plain,
        };
        if byte == b'\n' {
            if self.state == State::Quoted {
                self.are_rows &= self.is_row();
            }
            self.number += 1;
            self.line.clear();
            if self.state == State::Start {
                self.row_line = self.number;
            }
        }
        Ok(())
    }

    /// Returns whether the current line reads as a row; an unclosed quote counts as a letter.
    fn is_row(&self) -> bool {
        let line = self.line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.line);
        !line.is_empty() && Some(fields(line, self.delimiter)) == self.columns
    }

    /// Ends a row, and checks whether its lines read as rows.
    fn end_row(&mut self) -> Result<(), String> {
        if self.fields == 1 && self.line.is_empty() {
            return Ok(());
        }
        let (lines, are_rows) = (self.number - self.row_line + 1, self.are_rows && self.is_row());
        let columns = *self.columns.get_or_insert(self.fields);
        (self.fields, self.are_rows) = (1, true);
        // In a table of one column, a text may well have line breaks.
        let fewest = if columns > 1 { 2 } else { MANY_LINES };
        if lines < fewest || !are_rows {
            return Ok(());
        }
        if columns > 1 && (lines >= MANY_LINES || self.delimiter == b'\t') {
            return Err(format!(
                "lines {} to {} are one row by their double quotes, but each of them reads as a row of its own",
                self.row_line, self.number
            ));
        }
        let doubtful = &mut self.findings.borrow_mut().doubtful;
        *doubtful = (doubtful.0 + 1, if doubtful.0 == 0 { self.row_line } else { doubtful.1 });
        Ok(())
    }

    /// Ends the file, and checks that no quote is open.
    fn end_file(&self) -> Result<(), String> {
        match self.state {
            State::Quoted => Err(format!(
                "line {} begins a field with a double quote that nothing closes, so that everything up to the end of \
                the file would be one text",
                self.quote_line
            )),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for CheckedQuotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let checked =
            if read == 0 { self.end_file() } else { buffer[..read].iter().try_for_each(|&byte| self.check_byte(byte)) };
        checked.map_err(|problem| {
            self.findings.borrow_mut().problem = Some(problem.clone());
            Error::other(problem)
        })?;
        Ok(read)
    }
}

/// Returns whether bytes are the beginning of a byte order mark.
fn is_mark(line: &[u8]) -> bool {
    !line.is_empty() && "\u{feff}".as_bytes().starts_with(line)
}

/// Returns the number of fields of a line that is read as a row.
fn fields(line: &[u8], delimiter: u8) -> usize {
    let (mut rest, mut count) = (line, 1);
    loop {
        if let Some(end) = rest.strip_prefix(b"\"").and_then(|field| quoted_end(field, delimiter)) {
            rest = &rest[end + 1..];
        }
        let Some(at) = rest.iter().position(|&byte| byte == delimiter) else { return count };
        rest = &rest[at + 1..];
        count += 1;
    }
}

/// Returns the end of a quoted field, after its closing quote; `None` if it does not end in its line.
fn quoted_end(field: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += field[at..].iter().position(|&byte| byte == b'"')? + 1;
        match field.get(at) {
            None => return Some(at),
            Some(&byte) if byte == delimiter => return Some(at),
            Some(b'"') => at += 1,
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str, delimiter: u8) -> Findings {
        let findings = Rc::new(RefCell::new(Findings::default()));
        let _ = std::io::copy(
            &mut CheckedQuotes::new(table.as_bytes(), delimiter, Rc::clone(&findings)),
            &mut std::io::sink(),
        );
        findings.take()
    }

    #[test]
    fn fields_of_a_line_are_counted_by_quotes_that_it_closes() {
        for (line, count) in
            [("", 1), ("a,b", 2), ("\"a,b\",c", 2), ("\"a,b", 2), ("\"a\"\",b\",c", 2), ("\"a\"x,b", 2), (",", 2)]
        {
            assert_eq!(fields(line.as_bytes(), b','), count, "{line}");
        }
    }

    #[test]
    fn quoted_fields_that_end_are_no_problem() {
        for table in [
            "id,text\n1,\"a\nb \"\"c\"\"\n\nd\"\n2,\"x, y\"\r\n",
            "\u{feff}\"id\",\"text\"\n1,\"a, b\nc, d, e\"\n",
            "id,text\n1,\"Great\" product\n2,5\" pipe\n",
            "text\n\"a\nb\nc\n\nd\ne\nf\ng\nh\ni\nj\nk\nl\"\n",
        ] {
            let findings = read(table, b',');
            assert_eq!((findings.problem.as_deref(), findings.note()), (None, None), "{table}");
        }
    }

    #[test]
    fn quotes_that_take_in_rows_are_a_problem() {
        let rows = |count: usize| (3..3 + count).map(|number| format!("{number},words\n")).collect::<String>();
        let problem_of = |table: &str, delimiter| read(table, delimiter).problem.unwrap_or_default();
        let open = format!("id,text\n1,words\n2,\"a text\n{}", rows(40));
        assert!(problem_of(&open, b',').starts_with("line 3 begins a field with a double quote that nothing closes"));
        let twice = format!("{open}50,\"another\n");
        let expected = "line 3 begins a field with a double quote, and the next quote, in line 44, does not end";
        assert!(problem_of(&twice, b',').starts_with(expected), "{}", problem_of(&twice, b','));
        let ended = format!("{open}50,another\"\n");
        assert!(problem_of(&ended, b',').starts_with("lines 3 to 44 are one row"), "{}", problem_of(&ended, b','));
        let few = format!("id,text\n1,words\n2,\"a text\n{}50,another\"\n", rows(2));
        let findings = read(&few, b',');
        assert!(
            findings.problem.is_none()
                && findings.note().unwrap().contains("rows of their own: 1, the first from line 3"),
            "{findings:?}"
        );
        let alone = format!("text\nwords\n\"a text\n{}another\"\n", "words\n".repeat(20));
        assert!(read(&alone, b',').note().unwrap().contains("rows of their own: 1, the first from line 3"));
        assert!(problem_of(&few.replace(',', "\t"), b'\t').starts_with("lines 3 to 6 are one row"));
    }
}
