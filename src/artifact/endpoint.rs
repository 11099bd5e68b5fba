//! Where an artifact comes from and where it goes, and the names that stand for both.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use super::ArtifactError;

/// What a sealed file's name ends in.
pub const SEALED_SUFFIX: &str = ".sealed";

/// Where an artifact is read from.
pub enum Source<'caller> {
    /// A regular file, or a symbolic link to one.
    File(&'caller Path),
    /// A stream, such as standard input.
    Stream(&'caller mut dyn Read),
}

/// Where an artifact is written to.
pub enum Target<'caller> {
    /// A file beside the source: `x` is sealed as `x.sealed`, and the other way round.
    Beside,
    /// A file.
    File(&'caller Path),
    /// A stream, such as standard output.
    Stream(&'caller mut dyn Write),
}

/// What sealing calls the file beside its source: `x.sealed` for `x`.
///
/// # Errors
///
/// When the path ends in no name.
pub fn sealed_name(source: &Path) -> Result<PathBuf, ArtifactError> {
    let name = source.file_name().ok_or(ArtifactError::NoName)?;
    let mut sealed = name.to_os_string();
    sealed.push(SEALED_SUFFIX);
    Ok(source.with_file_name(sealed))
}

/// What opening calls the file beside its source: `x` for `x.sealed`.
///
/// # Errors
///
/// When the path does not end in `.sealed`.
pub fn opened_name(source: &Path) -> Result<PathBuf, ArtifactError> {
    let name = source.file_name().ok_or(ArtifactError::NoName)?;
    let stem = name
        .as_encoded_bytes()
        .strip_suffix(SEALED_SUFFIX.as_bytes())
        .filter(|stem| !stem.is_empty())
        .ok_or_else(|| ArtifactError::NotASealedName { path: source.into() })?;
    Ok(source.with_file_name(os_str(stem)))
}

fn os_str(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_turns_into_the_other_and_back() {
        for name in ["x", "dir/model.safetensors", "/x", "../a b", "x.sealed"] {
            let sealed = sealed_name(Path::new(name)).unwrap();
            assert_eq!(sealed, PathBuf::from(format!("{name}.sealed")));
            assert_eq!(opened_name(&sealed).unwrap(), Path::new(name));
        }
        let bytes = Path::new(os_str(b"\xff.sealed"));
        assert_eq!(opened_name(bytes).unwrap(), Path::new(os_str(b"\xff")));
    }

    #[test]
    fn a_name_that_has_no_other_is_refused() {
        for name in ["x", "x.sealed.txt", ".sealed", "dir/.sealed", "", "..", "/"] {
            assert!(opened_name(Path::new(name)).is_err(), "{name}");
        }
        assert!(sealed_name(Path::new("..")).is_err());
    }
}
