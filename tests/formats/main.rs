//! Files of other programs, whole and damaged; weights that go to PyTorch and come from there.

#[path = "../common/mod.rs"]
mod common;
mod memory;

mod corpus_hostile;
mod corpus_mutations;
mod export;
mod hostile_files;
mod tensorboard;
mod weights;
