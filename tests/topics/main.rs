//! Topics: corpora and words, the model's steps, what topics are worth, pages, the program.

#[path = "../common/mod.rs"]
mod common;

mod advice;
mod cli;
mod corpus;
mod export;
mod measures;
mod own_words;
mod page;
mod reading;
mod said;
mod scale;
mod tables;
mod words;
