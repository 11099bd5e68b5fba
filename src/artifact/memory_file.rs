//! A sealed file opened into memory, for a command that wants a path (memfd_create(2)).
//!
//! The file has no name in any directory and is gone with the last process that holds it. Once it is whole it is sealed in
//! the kernel's sense too (`F_SEAL_WRITE` and others): whoever is handed it can read it and not change it. Its pages are
//! ordinary memory: a machine that swaps may write them to its swap.

use std::{fs::File, path::Path};

use super::{ArtifactError, input::InputFile, transfer::Progress};
use crate::envelope::{Keyring, OpenOptions, open_at};

/// Opens a sealed file into an anonymous file in memory. It is inherited by processes that are started while it is open,
/// which find it under `/proc/self/fd/N`.
///
/// # Errors
///
/// When the file cannot be read, the message does not open, or the system has no such files.
pub fn open_in_memory(
    path: &Path,
    keyring: &dyn Keyring,
    options: &OpenOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<File, ArtifactError> {
    let input = InputFile::open(path)?;
    let memory = memfd::create().map_err(|source| ArtifactError::NoMemoryFile { source })?;
    let (mut done_bytes, total_bytes) = (0, Some(input.bytes()));
    let heard = &mut |read| {
        done_bytes += read;
        progress(Progress { done_bytes, total_bytes });
    };
    open_at(&input.file, input.bytes(), &memory, keyring, options, heard)
        .map_err(|error| ArtifactError::from(error).naming(Some(path), None))?;
    memfd::freeze(&memory).map_err(|source| ArtifactError::NoMemoryFile { source })?;
    Ok(memory)
}

#[cfg(target_os = "linux")]
mod memfd {
    use std::{fs::File, io};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    /// Without `CLOEXEC`: a command is to inherit it.
    pub(super) fn create() -> io::Result<File> {
        Ok(memfd_create("keystead", MemfdFlags::ALLOW_SEALING)?.into())
    }

    pub(super) fn freeze(file: &File) -> io::Result<()> {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        Ok(fcntl_add_seals(file, seals)?)
    }
}

/// There are none on this system.
#[cfg(not(target_os = "linux"))]
mod memfd {
    use std::{fs::File, io};

    pub(super) fn create() -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn freeze(_: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{Read, Seek, Write},
        os::fd::AsRawFd,
    };

    use super::*;
    use crate::artifact::sealed_file::tests::{keyring, sealed};

    #[test]
    fn the_plaintext_lies_in_memory_and_cannot_be_changed() {
        let (_directory, path) = sealed(&[7; 1000], 64);
        let mut file = open_in_memory(&path, &keyring(), &OpenOptions::default(), &mut |_| ()).unwrap();
        let mut plaintext = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut plaintext).unwrap();
        assert_eq!(plaintext, [7; 1000]);
        assert!(file.write_all(b"x").is_err() && file.set_len(5).is_err());
        let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert!(name.to_str().unwrap().starts_with("/memfd:keystead"), "{name:?}");
    }

    #[test]
    fn a_damaged_message_gives_no_file() {
        let (_directory, path) = sealed(&[7; 1000], 64);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(open_in_memory(&path, &keyring(), &OpenOptions::default(), &mut |_| ()).is_err());
    }
}
