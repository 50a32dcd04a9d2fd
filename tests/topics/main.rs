//! Topics: corpora and words, the model's steps, what topics are worth, pages, the program.

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod corpus;
mod export;
mod measures;
mod page;
mod reading;
mod scale;
mod words;
