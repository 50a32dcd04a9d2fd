//! What libtorch says is wrong.

/// An error of libtorch; shows its first line, without the C++ backtrace that follows it.
#[derive(Debug)]
pub struct TorchError(tch::TchError);

impl TorchError {
    /// The whole of it.
    pub fn into_inner(self) -> tch::TchError {
        self.0
    }
}

impl std::fmt::Display for TorchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_string().lines().next().unwrap_or_default().trim())
    }
}

impl std::error::Error for TorchError {}

impl From<tch::TchError> for TorchError {
    fn from(error: tch::TchError) -> Self {
        Self(error)
    }
}
