//! What the tests take from npm and PyPI, as the lists in `tests/clients/` say. `scripts/test` installs it below `target/`; a
//! missing package fails the test.

use std::path::{Path, PathBuf};

/// Where Node.js looks for packages.
pub fn node() -> PathBuf {
    installed("node")
}

/// The Python that has the packages.
pub fn python() -> PathBuf {
    installed("python").join("bin/python")
}

fn installed(name: &str) -> PathBuf {
    // `CARGO_TARGET_TMPDIR` is a folder of the target directory, wherever that is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("packages").join(name);
    assert!(folder.is_dir(), "{} is missing; `scripts/test` installs it", folder.display());
    folder
}
