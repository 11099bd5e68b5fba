//! A disk that does as a test tells it: fails, hangs, or lets every step be looked at.
//!
//! [`Hooked`] lies between the log and a directory on disk. Before and after each thing that happens to a segment it
//! calls a hook, which may answer an error in its place, wait, or take a picture.

use std::{
    io::{self, Read},
    sync::Arc,
};

use super::directory::{DiskDirectory, LogDirectory, SegmentFile};

/// What happens to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// It is about to be made, with these bytes.
    Creating(&'a [u8]),
    /// It is there, durably.
    Created,
    /// These bytes are about to be written at its end. Half of them are, when the hook says that this fails.
    Appending(&'a [u8]),
    /// They are written, and not durable.
    Appended,
    /// It is about to be made durable.
    Syncing,
    /// It is durable.
    Synced,
}

/// Hears of each step, with the segment's name.
pub(crate) type Hook = Arc<dyn Fn(&str, Step<'_>) -> io::Result<()> + Send + Sync>;

/// A directory whose every step is told to a hook.
pub(crate) struct Hooked {
    inner: DiskDirectory,
    hook: Hook,
}

impl Hooked {
    pub(crate) fn new(
        inner: DiskDirectory,
        hook: impl Fn(&str, Step<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Box<Self> {
        Box::new(Self { inner, hook: Arc::new(hook) })
    }

    fn wrap(&self, name: &str, inner: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(HookedFile { inner, name: name.into(), hook: Arc::clone(&self.hook) })
    }
}

impl LogDirectory for Hooked {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn read(&self, name: &str) -> io::Result<(u64, Box<dyn Read + Send>)> {
        self.inner.read(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn create(&self, name: &str, beginning: &[u8]) -> io::Result<Box<dyn SegmentFile>> {
        (self.hook)(name, Step::Creating(beginning))?;
        let file = self.wrap(name, self.inner.create(name, beginning)?);
        (self.hook)(name, Step::Created)?;
        Ok(file)
    }

    fn append_to(&self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(name, self.inner.append_to(name, length)?))
    }
}

struct HookedFile {
    inner: Box<dyn SegmentFile>,
    name: String,
    hook: Hook,
}

impl SegmentFile for HookedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = (self.hook)(&self.name, Step::Appending(bytes)) {
            self.inner.append(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
            return Err(error);
        }
        self.inner.append(bytes)?;
        (self.hook)(&self.name, Step::Appended)
    }

    fn sync(&mut self) -> io::Result<()> {
        (self.hook)(&self.name, Step::Syncing)?;
        self.inner.sync()?;
        (self.hook)(&self.name, Step::Synced)
    }

    fn is_in_place(&self, length: u64) -> io::Result<bool> {
        self.inner.is_in_place(length)
    }
}
