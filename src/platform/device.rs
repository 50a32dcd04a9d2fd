//! Devices by name, and CUDA loaded on demand.
//!
//! The linker drops `libtorch_cuda` from a program that uses none of its symbols, and a program that uses them does not
//! start without CUDA. So the library is loaded at run time, before the first use of CUDA, and only if a GPU is
//! requested.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::{Cuda, Device};

/// Returns the device named `auto`, `cpu`, `cuda` or `cuda:N`.
///
/// `auto` is the first GPU if the machine has one and CUDA loads, else the CPU.
///
/// # Errors
/// Fails if the name is unknown, or if a CUDA device is requested and cannot be used; the message says what is missing.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" if !gpu_present() => Ok(Device::Cpu),
        "auto" => Ok(cuda(0).unwrap_or(Device::Cpu)),
        "cuda" => cuda(0),
        _ => match name.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => cuda(index),
            None => Err(Error::parameter("device", format!("'{name}'"), "auto, cpu, cuda or cuda:N")),
        },
    }
}

/// The environment variable that makes a program treat the host as a device (for tests).
const HOST_AS_DEVICE: &str = "GENGS_HOST_AS_DEVICE";

/// Returns whether tensors of this device lie in the memory of this process, so that loops can read them without
/// waiting.
///
/// A switch for tests makes this false for the host as well, so that all code takes the path of a GPU on a machine
/// without one: the environment variable `GENGS_HOST_AS_DEVICE=1`, or [`treat_host_as_device`].
pub(crate) fn is_host(device: Device) -> bool {
    device == Device::Cpu && !host_as_device().load(Ordering::Relaxed)
}

/// Sets, for tests, whether this process treats the host as a device. Results differ in rounding only.
#[doc(hidden)]
pub fn treat_host_as_device(whether: bool) {
    host_as_device().store(whether, Ordering::Relaxed);
}

/// Returns the switch; its initial value comes from the environment variable.
fn host_as_device() -> &'static AtomicBool {
    static SWITCH: OnceLock<AtomicBool> = OnceLock::new();
    SWITCH.get_or_init(|| AtomicBool::new(std::env::var_os(HOST_AS_DEVICE).is_some_and(|value| value == "1")))
}

/// Returns whether the files of NVIDIA's driver exist; loads no library.
fn gpu_present() -> bool {
    Path::new("/dev/nvidiactl").exists() || Path::new("/dev/dxg").exists()
}

/// Loads CUDA and returns the GPU with this index.
fn cuda(index: usize) -> Result<Device> {
    static LOADED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(load).clone().map_err(|problem| Error::NoCuda { problem })?;
    let count = Cuda::device_count();
    if !Cuda::is_available() || count < 1 {
        return Err(Error::Device(
            "CUDA is loaded, but no GPU can be used; check the driver with nvidia-smi, or use the CPU".into(),
        ));
    }
    if index as i64 >= count {
        return Err(Error::parameter(
            "device",
            format!("cuda:{index}"),
            format!("below cuda:{count}: the number of GPUs is {count}"),
        ));
    }
    Ok(Device::Cuda(index))
}

#[cfg(unix)]
fn load() -> std::result::Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda belongs to the libtorch that this program is linked to; its initialisers register kernels
    // with that libtorch and have no other precondition. It is never unloaded, since the handle is leaked.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => {
            // The loader's message, as which file is missing, is in the error's source.
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            let cause = cause.lines().next().unwrap_or_default();
            Err(cause.into())
        }
    }
}

#[cfg(not(unix))]
fn load() -> std::result::Result<(), String> {
    Err("it is supported on Linux only".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_and_wrong_ones_refused() {
        assert_eq!(device("cpu").unwrap(), Device::Cpu);
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            assert!(device(wrong).unwrap_err().to_string().contains("auto, cpu, cuda"), "{wrong}");
        }
    }

    #[test]
    fn cuda_without_a_gpu_is_one_sentence() {
        if gpu_present() {
            eprintln!("skipped: this machine has a GPU");
            return;
        }
        assert_eq!(device("auto").unwrap(), Device::Cpu);
        let message = device("cuda").unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains("use the CPU"), "{message}");
    }
}
