//! What several test files need.

use std::path::PathBuf;

use durabletask_storage::Env;

/// A folder that is removed at the end of its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("durabletask-{}", Env::system().new_uuid());
        Self(std::env::temp_dir().join(name))
    }

    /// Where a store may be made, in a folder that is yet to be made.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("My hub.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
