//! Limits how long idle threads of libtorch spin, so that a training run leaves the cores to other processes.
//!
//! An idle thread of GNU's OpenMP spins 300,000 times by default and holds its core meanwhile, so that two training
//! runs on the same cores slow each other down many times over. With 10,000 spins they share the cores, and with 1,000
//! spins while the cores are crowded, they share them well (`benches/busy.py` measures it). OpenMP reads the number
//! from the environment when it is loaded, so a program has to restart itself with it. It does so before the
//! initialisers of its libraries run, which makes the restart cheap.

use crate::platform::contention::watch_for_other_processes;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

/// The variable that is added to the environment of the restarted program.
const SETTING: &CStr = c"GOMP_SPINCOUNT=10000";

/// The variables by which users choose a spin count themselves: if one is set, the program does not restart. The
/// restarted program has the first.
const USER_SETTINGS: [&[u8]; 2] = [b"GOMP_SPINCOUNT=", b"OMP_WAIT_POLICY="];

/// The most variables of an environment that is extended; with more, the program runs on as it is.
const MAX_VARIABLES: usize = 4096;

/// The message if the working folder was removed. (MKL would abort the process with a message about libtorch.)
const NO_WORKING_FOLDER: &[u8] = b"error: the working folder is gone; change to a folder that exists\n";

/// Restarts the program with `GOMP_SPINCOUNT`, unless `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` is set. The process keeps
/// its number, its name and its arguments. If the restart fails, the program runs on as it is. If the working folder is
/// gone, the program ends with a message.
///
/// Only [`threads_wait_briefly!`](crate::threads_wait_briefly) may use it.
///
/// # Safety
/// The arguments are those of a program's `main`; the lists end with a null pointer.
pub unsafe extern "C" fn restart_with_spin_count(
    _count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let mut extended = [ptr::null(); MAX_VARIABLES + 2];
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
            if count == MAX_VARIABLES || USER_SETTINGS.iter().any(|own| bytes.starts_with(own)) {
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

/// Reduces the spin count further while other processes want the same cores, unless the user set a spin count.
pub(super) fn yield_to_other_processes() {
    let ours = SETTING.to_bytes().strip_prefix(USER_SETTINGS[0]);
    let found = std::env::var_os("GOMP_SPINCOUNT");
    if found.as_ref().map(|value| value.as_encoded_bytes()) == ours && std::env::var_os("OMP_WAIT_POLICY").is_none() {
        watch_for_other_processes();
    }
}

/// Makes idle threads of libtorch spin briefly, unless `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` is set. Write it once in
/// the main file of a program. The program restarts itself before its libraries are initialised; a library has no such
/// moment.
#[macro_export]
macro_rules! threads_wait_briefly {
    () => {
        // SAFETY: entries of this section are functions with a program's arguments and environment, which the loader
        // calls once, first of all.
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        #[used]
        #[unsafe(link_section = ".preinit_array")]
        static RESTART: unsafe extern "C" fn(
            ::std::ffi::c_int,
            *const *const ::std::ffi::c_char,
            *const *const ::std::ffi::c_char,
        ) = $crate::cli::restart_with_spin_count;
    };
}
