//! One message of a folder: read and held against its entry in the manifest.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
};

use zeroize::Zeroizing;

use super::{DifferenceKind, FileEntry, FolderError, Manifest, Watch, tree::Root, watch::FolderEvent};
use crate::{
    crypto::digest::sha256,
    envelope::{self, ErrorClass, Keyring, OpenMessageError, OpenOptions, inspect},
};

/// A file that is read, heard of by a [`Watch`].
pub(super) struct Watched<'work> {
    pub(super) file: &'work File,
    pub(super) number: usize,
    pub(super) watch: &'work dyn Watch,
    pub(super) bytes_read: u64,
}

impl<'work> Watched<'work> {
    pub(super) fn new(file: &'work File, number: usize, watch: &'work dyn Watch) -> Self {
        Self { file, number, watch, bytes_read: 0 }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.stops() {
            return Err(io::Error::other("stopped"));
        }
        let read = self.file.read(buffer)?;
        self.bytes_read += read as u64;
        self.watch.hear(FolderEvent::Advanced { file: self.number, bytes: read as u64 });
        Ok(read)
    }
}

/// Keeps what is read first, up to some number of bytes.
struct Beginning<R> {
    inner: R,
    kept: Vec<u8>,
    wanted: usize,
}

impl<R: Read> Read for Beginning<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let more = self.wanted.saturating_sub(self.kept.len()).min(read);
        self.kept.extend_from_slice(buffer.get(..more).unwrap_or_default());
        Ok(read)
    }
}

/// Takes bytes only as long as they are those of a reader.
pub(super) struct SameAs<R> {
    reader: R,
    buffer: Zeroizing<Vec<u8>>,
}

impl<R: Read> SameAs<R> {
    pub(super) fn new(reader: R) -> Self {
        // With its whole room from the start, so that no plaintext is left behind in a smaller one.
        Self { reader, buffer: vec![0; 64 * 1024].into() }
    }

    /// Whether the reader has no more bytes than were written.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.reader.read(&mut self.buffer)? == 0)
    }
}

impl<R: Read> Write for SameAs<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.buffer.len());
        let other = self.buffer.split_at_mut(length).0;
        self.reader.read_exact(other)?;
        if bytes.get(..length) == Some(other) {
            Ok(length)
        } else {
            Err(io::Error::other("the content differs"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a file; shorter when the file is.
pub(super) fn beginning(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(bytes.split_at_mut(read).1, read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// What is needed to open the messages of a sealed folder.
pub(super) struct Reading<'work> {
    pub(super) sealed: &'work Root,
    pub(super) manifest: &'work Manifest,
    pub(super) keyring: &'work dyn Keyring,
    pub(super) options: &'work OpenOptions,
    pub(super) watch: &'work dyn Watch,
}

impl Reading<'_> {
    /// Opens the message of `entry` into `writer`. Answers how it differs from the manifest, if it does; what was written
    /// then is worth nothing.
    pub(super) fn open(
        &self,
        number: usize,
        entry: &FileEntry,
        writer: &mut dyn Write,
    ) -> Result<Option<DifferenceKind>, FolderError> {
        let Self { sealed, manifest, keyring, options, watch } = *self;
        let path = entry.path.sealed();
        let unreadable = |error| FolderError::unreadable(&sealed.path_of(&path), error);
        watch.hear(FolderEvent::Began { file: number, path: &entry.path, bytes: entry.size });
        let file = match sealed.open_file(entry.path.parent().as_ref(), &entry.path.sealed_name()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(DifferenceKind::Missing));
            }
            Err(error) => return Err(unreadable(error)),
        };
        let header_bytes = u64::from(entry.header_bytes);
        // Before any key is asked for: another message tells nothing of this file, and may name another key.
        let header = beginning(&file, header_bytes).map_err(unreadable)?;
        if sha256(&[&header]) != entry.header_sha256 {
            return Ok(Some(other_message(&file, manifest, entry)));
        }
        let wanted = header.len();
        let watched = Watched::new(&file, number, watch);
        let mut reader = Beginning { inner: watched, kept: Vec::with_capacity(wanted), wanted };
        let opened = match envelope::open(&mut reader, writer, keyring, options) {
            Ok(opened) => opened,
            Err(_) if watch.stops() => return Err(FolderError::StoppedEarly),
            Err(error) if is_damage(&error) => {
                return Ok(Some(DifferenceKind::Damaged { why: error.to_string() }));
            }
            Err(error) => return Err(FolderError::file(&path, error)),
        };
        // Again, of the bytes that were used: the file could have been written to in between.
        let same = sha256(&[&reader.kept]) == entry.header_sha256
            && opened.header_bytes == header_bytes
            && opened.header.message_id == entry.message_id
            && opened.plaintext_bytes == entry.size;
        watch.hear(FolderEvent::Ended { file: number });
        Ok((!same).then(|| DifferenceKind::Damaged { why: "its size is not the manifest's".into() }))
    }
}

/// Whether a message that does not open is to blame, and not a key.
fn is_damage(error: &OpenMessageError) -> bool {
    !matches!(error, OpenMessageError::Keyring(_)) && error.class() == ErrorClass::Integrity
}

/// What it is instead of the message of `entry`.
fn other_message(file: &File, manifest: &Manifest, entry: &FileEntry) -> DifferenceKind {
    let Ok(info) = inspect(file, None) else {
        return DifferenceKind::Damaged { why: "its header is cut short or no header".into() };
    };
    if info.message_id == entry.message_id {
        return DifferenceKind::Damaged { why: "its header was changed".into() };
    }
    match manifest.files().iter().find(|other| other.message_id == info.message_id) {
        Some(other) => DifferenceKind::Swapped { with: other.path.clone() },
        None => DifferenceKind::Replaced,
    }
}
