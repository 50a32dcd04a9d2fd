//! Readers and writers for file formats of other programs: NumPy, MNIST, PyTorch, safetensors, TensorBoard.

mod archive;
pub(crate) mod array;
pub(crate) mod gzip;
pub(crate) mod idx;
pub(crate) mod npy;
pub(crate) mod npz;
mod pickle;
pub(crate) mod pytorch;
mod rebuild;
pub(crate) mod safetensors;
pub(crate) mod tensorboard;
