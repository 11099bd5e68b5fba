//! Which paths are the keystore's own, so that nothing else is written there.

use std::path::{Path, PathBuf};

/// The places of a keystore's files. It stays true when the keystore is closed.
#[derive(Debug, Clone)]
pub struct OwnFiles {
    /// The keystore's directory, without symbolic links; none when it lives in memory.
    pub(super) directory: Option<PathBuf>,
    /// The key file that opens it.
    pub(super) key_file: Option<PathBuf>,
}

impl OwnFiles {
    /// Whether a file of this name would lie among them or be one of them.
    #[must_use]
    pub fn contain(&self, path: &Path) -> bool {
        let Some(directory) = &self.directory else { return false };
        let Ok(path) = std::path::absolute(path) else { return false };
        let parent = path.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
        let path = match (parent, path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path,
        };
        path.starts_with(directory) || self.key_file.as_ref().is_some_and(|key_file| is_same(key_file, &path))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    real(one) == real(other)
}
