//! Options for reading a table or JSON lines of other documents.

use clap::Args;
use gengs::cli;
use gengs::data::{Columns, Header, Quotes};

#[derive(Debug, Args)]
pub struct TableArgs {
    /// Column of a table that holds the text, by its name or its number from 1; of JSON lines, the field, or a.b for
    /// the field b of the object in the field a [default: found by its name]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<String>,
    /// Whether the first line of a table holds the names of its columns
    #[arg(long, value_name = "WHETHER", default_value = "auto", value_parser = cli::choice::<Header>())]
    header: Header,
    /// How double quotes in a table are read
    #[arg(long, value_name = "RULE", default_value = "paired", value_parser = cli::choice::<Quotes>())]
    quotes: Quotes,
}

impl TableArgs {
    /// Returns the columns to read, with `id` as the column of document names.
    pub fn columns(&self, id: Option<&String>) -> Columns {
        Columns { text: self.text_column.clone(), id: id.cloned(), header: self.header, quotes: self.quotes }
    }
}
