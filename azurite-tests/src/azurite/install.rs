//! Azurite from npm, pinned, once per machine.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::AzuriteError;

/// The newest version that runs on Node.js 20 (3.36 wants 21, 3.37 wants 22).
pub const VERSION: &str = "3.35.0";

/// Characters of npm's output that an error shows.
const SHOWN_OUTPUT_CHARS: usize = 600;

/// The folder of the package `azurite`, installed if it was not.
pub(super) fn package() -> Result<PathBuf, AzuriteError> {
    let cache = cache_folder();
    let home = cache.join(format!("azurite-{VERSION}"));
    let package = home.join("node_modules").join("azurite");
    if package.is_dir() {
        return Ok(package);
    }
    fs::create_dir_all(&cache)?;
    // Two processes may want it at once: one installs, the other waits and finds it there. The
    // rename makes it appear whole or not at all.
    let lock = File::create(cache.join(format!("azurite-{VERSION}.lock")))?;
    lock.lock()?;
    if !package.is_dir() {
        let fresh = cache.join(format!("azurite-{VERSION}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&fresh);
        npm_install(&fresh).inspect_err(|_| {
            let _ = fs::remove_dir_all(&fresh);
        })?;
        let _ = fs::remove_dir_all(&home);
        fs::rename(&fresh, &home)?;
    }
    lock.unlock()?;
    Ok(package)
}

/// `$XDG_CACHE_HOME/durabletask`, `~/.cache/durabletask`, or a folder for temporary files.
fn cache_folder() -> PathBuf {
    let given = |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let base = given("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| given("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("durabletask")
}

fn npm_install(folder: &Path) -> Result<(), AzuriteError> {
    fs::create_dir_all(folder)?;
    eprintln!("installing azurite@{VERSION} from npm, once");
    let output = Command::new("npm")
        .arg("install")
        .arg("--prefix")
        .arg(folder)
        .args(["--no-audit", "--no-fund", "--no-progress"])
        .arg(format!("azurite@{VERSION}"))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| AzuriteError::NoProgram {
            program: "npm",
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let skipped = words.chars().count().saturating_sub(SHOWN_OUTPUT_CHARS);
    let end: String = words.chars().skip(skipped).collect();
    Err(AzuriteError::Install {
        folder: folder.display().to_string(),
        reason: end.trim().to_owned(),
    })
}
