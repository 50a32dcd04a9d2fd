use super::*;
use std::error::Error as _;

/// `{:#}`, as anyhow prints a chain of errors, repeats no part.
#[test]
fn each_underlying_error_is_printed_once() {
    let io = || std::io::Error::from_raw_os_error(2);
    let file = Error::file("a.txt", io());
    assert_eq!(file.to_string(), "a.txt: cannot be read");
    assert_eq!(file.source().unwrap().to_string(), io().to_string());
    assert_eq!(file.whole(), format!("a.txt: cannot be read: {}", io()));
    let nested = Error::file("b", Error::caused("a.txt", "cannot be made", io()));
    assert_eq!(nested.whole(), format!("b: a.txt: cannot be made: {}", io()));
    // A refusal of the library is one sentence without an underlying error.
    let refused = Error::file("c", std::io::Error::new(std::io::ErrorKind::InvalidData, "is a pipe"));
    assert!(refused.source().is_none() && refused.to_string() == "c: is a pipe");
    let torch = Error::from(tch::Tensor::from_slice(&[1.0, 2.0]).f_reshape([3]).unwrap_err());
    let below = torch.source().unwrap().to_string();
    assert!(below.contains("shape") && below.lines().count() == 1 && !torch.to_string().contains("shape"), "{below}");
    assert_eq!(torch.whole(), format!("libtorch refused: {below}"));
}
