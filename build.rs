//! Tells the linker where libtorch lies at run time, and checks that it is the version that tch was written for.

use std::path::Path;

/// What `tch = 0.24.0` binds to.
const VERSION: &str = "2.11.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Absent when documentation is built without libtorch.
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    // No LD_LIBRARY_PATH: programs, tests and examples remember the folder.
    let lib = std::fs::canonicalize(&lib).map_or(lib, |path| path.display().to_string());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    if let Some(version) = version(Path::new(&lib))
        && version.split('+').next() != Some(VERSION)
    {
        println!(
            "cargo::error=libtorch in {lib} is {version}, but this crate needs {VERSION}: remove .libtorch and run ./libtorch-setup.sh, or point LIBTORCH at libtorch {VERSION}"
        );
    }
}

/// From `version.py` of a Python wheel, or `build-version` of the zip.
fn version(lib: &Path) -> Option<String> {
    let root = lib.parent()?;
    if let Ok(text) = std::fs::read_to_string(root.join("build-version")) {
        return Some(text.trim().to_string());
    }
    let file = root.join("version.py");
    println!("cargo::rerun-if-changed={}", file.display());
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    Some(line.split('\'').nth(1)?.to_string())
}
