//! How libtorch's threads wait for work: briefly, so that a training leaves the cores to other processes.
//!
//! A thread of GNU's OpenMP that waits looks for work 300,000 times by default, during which it holds its core: two
//! trainings on the same cores take ten times as long as one. With 10,000 times they share them, and with 1,000 times,
//! while the cores are crowded, they share them well (`benches/busy.py`). OpenMP reads the number from the environment
//! when it is loaded, so a program has to start again with it. It does so before the initialisers of its libraries run,
//! of which libtorch's take a quarter of a second: so it costs some hundredths.

use crate::platform::contention::watch_for_other_processes;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

/// What is added to the environment.
const SETTING: &CStr = c"GOMP_SPINCOUNT=10000";

/// Settings of a user's own, which win, and which the program that was started again has.
const OWN: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

/// Variables of the largest environment that is extended.
const MOST: usize = 4096;

/// What is said where the working folder was removed: MKL would end the process with a message that names libtorch.
const NO_WORKING_FOLDER: &[u8] = b"error: the working folder is gone; change to a folder that exists\n";

/// Starts the program again, with `GOMP_SPINCOUNT`, unless that or `OMP_WAIT_POLICY` is set. The process keeps its
/// number, its name and its arguments. Where it cannot start again, it goes on as it is. Where its working folder is
/// gone, it ends with a sentence.
///
/// For [`threads_wait_briefly!`](crate::threads_wait_briefly) alone.
///
/// # Safety
/// The three are those of a program's start: arguments, and an environment whose list ends with a null pointer.
pub unsafe extern "C" fn start_again(
    _count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let mut extended = [ptr::null(); MOST + 2];
    let mut count = 0;
    let mut path = [0; libc::PATH_MAX as usize];
    // SAFETY: by the contract, the list holds strings and ends with a null pointer, and nothing changes it meanwhile.
    // Nothing here needs libraries that are initialised later: it reads strings, and asks the kernel for a folder, a
    // link and a new program. The buffers live until then.
    unsafe {
        if libc::getcwd(path.as_mut_ptr(), path.len()).is_null()
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOENT)
        {
            let _ = libc::write(2, NO_WORKING_FOLDER.as_ptr().cast(), NO_WORKING_FOLDER.len());
            libc::_exit(1);
        }
        loop {
            let variable = *environment.add(count);
            if variable.is_null() {
                break;
            }
            let bytes = CStr::from_ptr(variable).to_bytes();
            if count == MOST || OWN.iter().any(|own| bytes.starts_with(own)) {
                return;
            }
            extended[count] = variable;
            count += 1;
        }
        extended[count] = SETTING.as_ptr();
        let length = libc::readlink(c"/proc/self/exe".as_ptr(), path.as_mut_ptr(), path.len() - 1);
        if length > 0 {
            libc::execve(path.as_ptr(), arguments, extended.as_ptr());
        }
    }
}

/// Lets threads wait more briefly still while other processes want the same cores, unless the user has a setting of
/// their own.
pub(super) fn yield_to_other_processes() {
    let ours = SETTING.to_bytes().strip_prefix(OWN[0]);
    let found = std::env::var_os("GOMP_SPINCOUNT");
    if found.as_ref().map(|value| value.as_encoded_bytes()) == ours && std::env::var_os("OMP_WAIT_POLICY").is_none() {
        watch_for_other_processes();
    }
}

/// In a program's main file: libtorch's threads wait briefly, unless the environment says otherwise (`GOMP_SPINCOUNT`,
/// `OMP_WAIT_POLICY`). The program starts itself again before its libraries are initialised. For programs alone: a
/// library has no such moment.
#[macro_export]
macro_rules! threads_wait_briefly {
    () => {
        // SAFETY: entries of this section are functions with a program's arguments and environment, which the loader
        // calls once, first of all.
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        #[used]
        #[unsafe(link_section = ".preinit_array")]
        static START_AGAIN: unsafe extern "C" fn(
            ::std::ffi::c_int,
            *const *const ::std::ffi::c_char,
            *const *const ::std::ffi::c_char,
        ) = $crate::cli::start_again;
    };
}
