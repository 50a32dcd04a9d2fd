//! Tensors as slices of their elements: the only place that accesses tensor memory by pointer.
//!
//! A tensor is *plain* if it lies dense in the memory of the CPU and has the requested kind. Two tensors may share
//! memory, as a view and its base do, but a slice that is written must share none. [`of_all`] checks this for all
//! slices in use at once. [`write`] cannot check it: call it only for a tensor that shares memory with no other, such
//! as a new one.

use super::device::is_host;
use std::ops::Range;
use tch::Tensor;
use tch::kind::Element;

/// Returns the byte addresses of a dense tensor on the CPU, `0..0` if it is empty; `None` for other tensors.
pub(crate) fn addresses(tensor: &Tensor) -> Option<Range<usize>> {
    let strided = tensor.defined() && is_host(tensor.device()) && !tensor.is_sparse() && !tensor.is_mkldnn();
    if !strided || !tensor.is_contiguous() {
        return None;
    }
    let bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
    let start = if bytes == 0 { 0 } else { tensor.data_ptr() as usize };
    Some(start..start + bytes)
}

/// Returns whether a tensor is plain: dense on the CPU, with elements of type `T`.
pub(crate) fn is_plain<T: Element>(tensor: &Tensor) -> bool {
    tensor.defined() && tensor.kind() == T::KIND && addresses(tensor).is_some()
}

/// Returns the elements of a plain tensor; `None` if it is not plain. Nothing may write to its memory while the slice
/// lives.
pub(crate) fn read<T: Element>(tensor: &Tensor) -> Option<&[T]> {
    if !is_plain::<T>(tensor) {
        return None;
    }
    match tensor.numel() {
        0 => Some(&[]),
        // SAFETY: the tensor is dense, on the CPU, and holds `count` numbers of this kind; the borrow keeps it alive.
        // libtorch keeps no thread that writes to a tensor after an operation has returned.
        count => Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), count) }),
    }
}

/// Returns the elements of a plain tensor for writing; `None` if it is not plain. The tensor must share its memory with
/// no other, which is not checked.
pub(crate) fn write<T: Element>(tensor: &mut Tensor) -> Option<&mut [T]> {
    if !is_plain::<T>(tensor) {
        return None;
    }
    match tensor.numel() {
        0 => Some(&mut []),
        // SAFETY: as in `read`. No other tensor shares the memory (precondition), so `&mut Tensor` gives exclusive
        // access to it.
        count => Some(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), count) }),
    }
}

/// Slices to write and slices to read, in use at once.
pub(crate) type Slices<'a, T> = (Vec<&'a mut [T]>, Vec<&'a [T]>);

/// Returns the elements of tensors to write and of tensors to read; `None` if one is not plain, or if one to write
/// shares memory with another.
pub(crate) fn of_all<'a, T: Element>(to_write: Vec<&'a mut Tensor>, to_read: Vec<&'a Tensor>) -> Option<Slices<'a, T>> {
    let mut ranges = Vec::with_capacity(to_write.len() + to_read.len());
    for (tensor, is_written) in to_write.iter().map(|t| (&**t, true)).chain(to_read.iter().map(|t| (*t, false))) {
        let range = addresses(tensor).filter(|_| tensor.kind() == T::KIND)?;
        if !range.is_empty() {
            ranges.push((range.start, range.end, is_written));
        }
    }
    ranges.sort_unstable();
    let (mut end, mut end_of_written) = (0, 0);
    for (start, last, is_written) in ranges {
        if start < end_of_written || is_written && start < end {
            return None;
        }
        end = end.max(last);
        if is_written {
            end_of_written = end_of_written.max(last);
        }
    }
    Some((
        to_write.into_iter().map(write).collect::<Option<_>>()?,
        to_read.into_iter().map(read).collect::<Option<_>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn only_dense_tensors_of_the_kind_on_the_cpu_are_slices() {
        let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).reshape([2, 2]);
        assert_eq!(read::<f32>(&x), Some(&[1.0, 2.0, 3.0, 4.0][..]));
        assert_eq!(read::<f32>(&x.get(1)), Some(&[3.0, 4.0][..]));
        assert!(read::<f64>(&x).is_none() && read::<f32>(&x.tr()).is_none() && read::<f32>(&Tensor::new()).is_none());
        assert!(read::<f32>(&x.to_sparse(None, None::<i64>, None::<i64>)).is_none());
        assert_eq!(read::<f32>(&Tensor::zeros([0, 3], (Kind::Float, Device::Cpu))), Some(&[][..]));
    }

    #[test]
    fn what_is_written_shares_no_memory() {
        let base = || Tensor::zeros([6], (Kind::Float, Device::Cpu));
        let (mut a, mut b) = (base(), base());
        let (mut same, mut part, mut rest) = (a.shallow_clone(), a.narrow(0, 0, 3), a.narrow(0, 3, 3));
        let fits = |to_write: Vec<&mut Tensor>, to_read: Vec<&Tensor>| of_all::<f32>(to_write, to_read).is_some();
        assert!(fits(vec![&mut a, &mut b], vec![]) && fits(vec![&mut part, &mut rest], vec![]));
        assert!(!fits(vec![&mut a, &mut same], vec![]) && !fits(vec![&mut a], vec![&part]));
        assert!(!fits(vec![&mut part], vec![&b, &a]) && fits(vec![&mut part], vec![&rest, &rest]));
    }
}
