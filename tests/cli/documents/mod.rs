//! The documents: what they link to, name, quote and print is there, and the README's commands do what it shows.
#![cfg(feature = "cli")]

mod commands;
mod links;
mod markdown;
mod messages;
mod numbers;
mod readme;
