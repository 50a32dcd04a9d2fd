//! Double quotes of a table.
//!
//! A quote at the start of a field begins a quoted one, which ends at the next quote that stands alone, be it in
//! another row. So a text that only begins with a quote swallows all rows up to the next one. Programs that read tables
//! say nothing (Python's csv, Excel) or notice the end of the file (pandas); here, every row is watched:
//!
//! ```text
//! the file ends within a quoted field                              an error
//! its quote is in another line, and does not end the field         an error
//! all lines of a row read as rows of their own, ten or more        an error; of fields between tabs, two or more
//! the same, of fewer lines, or ten or more of a single column      counted for the report
//! its quote is in the same line, and does not end the field        what follows is part of the field
//! ```

use crate::choice::choices;
use std::cell::RefCell;
use std::io::{Error, Read};
use std::rc::Rc;

choices! {
    "quotes";
    /// What double quotes of a table are.
    #[derive(Default)]
    pub enum Quotes {
        /// They stand around a field, and one in a field is doubled; a field that begins with one must end with one
        #[default]
        Paired = "paired",
        /// They stand around a field, whatever rows this takes: the rule of runs from before there was another
        Any = "any",
        /// They are letters, as in tables that have no line breaks and no separators in texts
        Text = "text",
    }
}

/// So many lines of a row that read as rows are no chance.
const SWALLOWED: u64 = 10;

/// What was seen of a table so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Why the table cannot be right.
    pub problem: Option<String>,
    /// Rows of several lines, all of which read as rows, and the line of the first.
    doubtful: (u64, u64),
}

impl Seen {
    /// What a user should look at.
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

/// Where in a field a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field.
    Closed,
}

/// Bytes of a table, on their way to what reads them.
pub(super) struct Watched<R> {
    reader: R,
    delimiter: u8,
    state: State,
    /// Fields of the first row, once it is known.
    columns: Option<usize>,
    /// Those of this row so far.
    fields: usize,
    /// This line, counted from 1, its bytes, and the line that the row began in.
    number: u64,
    line: Vec<u8>,
    began: u64,
    /// The line in which the last quoted field began.
    opened: u64,
    /// Whether all lines of the row so far read as rows.
    are_rows: bool,
    seen: Rc<RefCell<Seen>>,
}

impl<R: Read> Watched<R> {
    pub fn new(reader: R, delimiter: u8, seen: Rc<RefCell<Seen>>) -> Self {
        let (columns, line) = (None, Vec::new());
        Self {
            reader,
            delimiter,
            state: State::Start,
            columns,
            fields: 1,
            number: 1,
            line,
            began: 1,
            opened: 0,
            are_rows: true,
            seen,
        }
    }

    /// Looks at a byte.
    fn watch(&mut self, byte: u8) -> Result<(), String> {
        let ends = matches!(byte, b'\n' | b'\r');
        if !ends {
            self.line.push(byte);
        }
        self.state = match self.state {
            // A byte order mark is no part of the first field.
            State::Start if self.number == 1 && self.fields == 1 && is_mark(&self.line) => State::Start,
            State::Start if byte == b'"' => {
                self.opened = self.number;
                State::Quoted
            }
            State::Quoted if byte == b'"' => State::Closed,
            State::Closed if byte == b'"' => State::Quoted,
            State::Quoted => State::Quoted,
            _ if ends => {
                self.end_row()?;
                State::Start
            }
            _ if byte == self.delimiter => {
                self.fields += 1;
                State::Start
            }
            State::Closed if self.number > self.opened => {
                return Err(format!(
                    "line {} begins a field with a double quote, and the next one, in line {}, does not end that \
                     field, so that all between \
                     them would be one text",
                    self.opened, self.number
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
                self.began = self.number;
            }
        }
        Ok(())
    }

    /// Whether the line reads as a row: a quote that its line does not close is a letter.
    fn is_row(&self) -> bool {
        let line = self.line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.line);
        !line.is_empty() && Some(fields(line, self.delimiter)) == self.columns
    }

    fn end_row(&mut self) -> Result<(), String> {
        if self.fields == 1 && self.line.is_empty() {
            return Ok(());
        }
        let (lines, are_rows) = (self.number - self.began + 1, self.are_rows && self.is_row());
        let columns = *self.columns.get_or_insert(self.fields);
        (self.fields, self.are_rows) = (1, true);
        // A text alone in its row may well have line breaks.
        let fewest = if columns > 1 { 2 } else { SWALLOWED };
        if lines < fewest || !are_rows {
            return Ok(());
        }
        if columns > 1 && (lines >= SWALLOWED || self.delimiter == b'\t') {
            return Err(format!(
                "lines {} to {} are one row by their double quotes, but each of them reads as a row of its own",
                self.began, self.number
            ));
        }
        let doubtful = &mut self.seen.borrow_mut().doubtful;
        *doubtful = (doubtful.0 + 1, if doubtful.0 == 0 { self.began } else { doubtful.1 });
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        match self.state {
            State::Quoted => Err(format!(
                "line {} begins a field with a double quote that nothing closes, so that all up to the end of the \
                 file would be one \
                 text",
                self.opened
            )),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let watched = if read == 0 { self.end() } else { buffer[..read].iter().try_for_each(|&byte| self.watch(byte)) };
        watched.map_err(|problem| {
            self.seen.borrow_mut().problem = Some(problem.clone());
            Error::other(problem)
        })?;
        Ok(read)
    }
}

/// Whether bytes begin a byte order mark, and are not all that there is.
fn is_mark(line: &[u8]) -> bool {
    !line.is_empty() && "\u{feff}".as_bytes().starts_with(line)
}

/// Fields of a line by itself.
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

/// Where a quoted field ends, behind its closing quote, if it does on its line.
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

    fn read(table: &str, delimiter: u8) -> Seen {
        let seen = Rc::new(RefCell::new(Seen::default()));
        let _ = std::io::copy(&mut Watched::new(table.as_bytes(), delimiter, Rc::clone(&seen)), &mut std::io::sink());
        seen.take()
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
            let seen = read(table, b',');
            assert_eq!((seen.problem.as_deref(), seen.note()), (None, None), "{table}");
        }
    }

    #[test]
    fn quotes_that_swallow_rows_are_a_problem() {
        let rows = |count: usize| (3..3 + count).map(|number| format!("{number},words\n")).collect::<String>();
        let said = |table: &str, delimiter| read(table, delimiter).problem.unwrap_or_default();
        let open = format!("id,text\n1,words\n2,\"a text\n{}", rows(40));
        assert!(said(&open, b',').starts_with("line 3 begins a field with a double quote that nothing closes"));
        let twice = format!("{open}50,\"another\n");
        let expected = "line 3 begins a field with a double quote, and the next one, in line 44, does not end";
        assert!(said(&twice, b',').starts_with(expected), "{}", said(&twice, b','));
        let ended = format!("{open}50,another\"\n");
        assert!(said(&ended, b',').starts_with("lines 3 to 44 are one row"), "{}", said(&ended, b','));
        let few = format!("id,text\n1,words\n2,\"a text\n{}50,another\"\n", rows(2));
        let seen = read(&few, b',');
        assert!(
            seen.problem.is_none() && seen.note().unwrap().contains("rows of their own: 1, the first from line 3"),
            "{seen:?}"
        );
        let alone = format!("text\nwords\n\"a text\n{}another\"\n", "words\n".repeat(20));
        assert!(read(&alone, b',').note().unwrap().contains("rows of their own: 1, the first from line 3"));
        assert!(said(&few.replace(',', "\t"), b'\t').starts_with("lines 3 to 6 are one row"));
    }
}
