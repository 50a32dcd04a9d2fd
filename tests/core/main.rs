//! Distributions, truncation, relaxation, the one-pass sampler, layers: their numbers.

#[path = "../common/mod.rs"]
mod common;

mod custom;
mod distributions;
mod exact_facts;
mod hostile_calls;
mod hostile_parameters;
mod log_weights;
mod multinomial;
mod nn;
mod one_pass;
mod paths;
mod relaxation;
mod traps;
mod truncation;
mod truncation_error;
