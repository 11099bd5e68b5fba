//! Sealing and opening artifacts, from file or stream to file or stream.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    ArtifactError, Source, Target,
    endpoint::{opened_name, sealed_name},
    input::InputFile,
    output::{OutputFile, Readers},
};
use crate::{
    crypto::random::Random,
    envelope::{self, Keyring, OpenOptions, Opened, SealOptions, Sealed},
};

/// What was done, and the file that holds it now (none for a stream).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T> {
    /// What was sealed or opened.
    pub message: T,
    /// The target's path.
    pub path: Option<PathBuf>,
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read of the source.
    pub done_bytes: u64,
    /// The source's length; none for a stream.
    pub total_bytes: Option<u64>,
}

/// Seals an artifact. `replace` lets the target replace a file; `progress` hears of each read.
///
/// # Errors
///
/// When the source cannot be read or changes meanwhile, the target cannot be written or exists, or sealing fails. No
/// partial file is left behind.
pub fn seal(
    source: Source<'_>,
    target: Target<'_>,
    replace: bool,
    keyring: &dyn Keyring,
    options: &SealOptions,
    random: &mut dyn Random,
    progress: &mut dyn FnMut(Progress),
) -> Result<Done<Sealed>, ArtifactError> {
    let mut input = Input::of(source, progress)?;
    let output = input.output_for(target, replace, Readers::AsUmask, sealed_name)?;
    output.fill(|writer, target| {
        let sealed = if let (OpenSource::File(source), Writer::File(file)) = (&input.source, &writer) {
            let (bytes, heard) =
                (source.bytes(), &mut hearing(&mut input.bytes_read, input.progress, source));
            envelope::seal_at(&source.file, bytes, *file, keyring, options, random, heard)
        } else {
            envelope::seal(&mut input, writer, keyring, options, random)
        };
        // A source that changed fails in many ways, and this is why.
        input.expect_unchanged()?;
        sealed.map_err(|error| ArtifactError::from(error).naming(input.path.as_deref(), target))
    })
}

/// Opens an artifact. `replace` lets the target replace a file; `progress` hears of each read.
///
/// # Errors
///
/// When the source cannot be read, the target cannot be written or exists, or the message does not open. No partial
/// file is left behind; a stream has got the frames that were verified.
pub fn open(
    source: Source<'_>,
    target: Target<'_>,
    replace: bool,
    keyring: &dyn Keyring,
    options: &OpenOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Done<Opened>, ArtifactError> {
    let mut input = Input::of(source, progress)?;
    let output = input.output_for(target, replace, Readers::Owner, opened_name)?;
    output.fill(|writer, target| {
        let opened = if let (OpenSource::File(source), Writer::File(file)) = (&input.source, &writer) {
            let (bytes, heard) =
                (source.bytes(), &mut hearing(&mut input.bytes_read, input.progress, source));
            envelope::open_at(&source.file, bytes, *file, keyring, options, heard)
        } else {
            envelope::open(&mut input, writer, keyring, options)
        };
        opened.map_err(|error| ArtifactError::from(error).naming(input.path.as_deref(), target))
    })
}

/// A source, with somebody who hears of each read.
struct Input<'source, 'progress> {
    source: OpenSource<'source>,
    path: Option<PathBuf>,
    bytes_read: u64,
    progress: &'progress mut dyn FnMut(Progress),
}

/// Who hears of each piece that is read of a file at its position.
fn hearing(bytes_read: &mut u64, progress: &mut dyn FnMut(Progress), source: &InputFile) -> impl FnMut(u64) {
    let total_bytes = Some(source.bytes());
    move |read| {
        *bytes_read += read;
        progress(Progress { done_bytes: *bytes_read, total_bytes });
    }
}

enum OpenSource<'source> {
    File(InputFile),
    Stream(&'source mut dyn Read),
}

impl<'source, 'progress> Input<'source, 'progress> {
    fn of(
        source: Source<'source>,
        progress: &'progress mut dyn FnMut(Progress),
    ) -> Result<Self, ArtifactError> {
        let (source, path) = match source {
            Source::File(path) => (OpenSource::File(InputFile::open(path)?), Some(path.into())),
            Source::Stream(stream) => (OpenSource::Stream(stream), None),
        };
        Ok(Self { source, path, bytes_read: 0, progress })
    }

    fn file(&self) -> Option<&InputFile> {
        match &self.source {
            OpenSource::File(file) => Some(file),
            OpenSource::Stream(_) => None,
        }
    }

    fn expect_unchanged(&self) -> Result<(), ArtifactError> {
        self.file().map_or(Ok(()), InputFile::expect_unchanged)
    }

    fn output_for<'target>(
        &self,
        target: Target<'target>,
        replace: bool,
        readers: Readers,
        name_beside: impl FnOnce(&Path) -> Result<PathBuf, ArtifactError>,
    ) -> Result<Output<'target>, ArtifactError> {
        let path = match target {
            Target::Stream(stream) => return Ok(Output::Stream(stream)),
            Target::File(path) => path.to_path_buf(),
            Target::Beside => name_beside(self.path.as_deref().ok_or(ArtifactError::NoName)?)?,
        };
        if self.file().is_some_and(|file| file.is_same_as(&path)) {
            return Err(ArtifactError::SameFile { path });
        }
        OutputFile::create(&path, readers, replace).map(Output::File)
    }
}

impl Read for Input<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.source {
            OpenSource::File(input) => input.file.read(buffer),
            OpenSource::Stream(stream) => stream.read(buffer),
        }?;
        self.bytes_read += read as u64;
        let total_bytes = self.file().map(InputFile::bytes);
        (self.progress)(Progress { done_bytes: self.bytes_read, total_bytes });
        Ok(read)
    }
}

enum Output<'caller> {
    File(OutputFile),
    Stream(&'caller mut dyn Write),
}

/// Where bytes go, in their order or, to a file, each to its position.
enum Writer<'output> {
    File(&'output File),
    Stream(&'output mut dyn Write),
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

impl Output<'_> {
    /// Fills the output by `fill`, which is told the file's name, and gives the file that name when it succeeds.
    fn fill<T>(
        self,
        fill: impl FnOnce(Writer<'_>, Option<&Path>) -> Result<T, ArtifactError>,
    ) -> Result<Done<T>, ArtifactError> {
        match self {
            Self::Stream(stream) => Ok(Done { message: fill(Writer::Stream(stream), None)?, path: None }),
            Self::File(file) => {
                let target = file.target().to_path_buf();
                let message = fill(Writer::File(file.file()), Some(&target))?;
                Ok(Done { message, path: Some(file.commit()?) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::{
        crypto::random::SeededRandom,
        envelope::{ErrorClass, FrameLength, OpenMessageError, RawAesKeyring},
        secret::SecretKey,
    };

    fn keyring(byte: u8) -> RawAesKeyring {
        RawAesKeyring::new("lab", "key", SecretKey::from_slice(&[byte; 32]).unwrap()).unwrap()
    }

    /// A directory with a file `x` of 100 bytes.
    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new() -> Self {
            let lab = Self(tempfile::tempdir().unwrap());
            fs::write(lab.path("x"), [7; 100]).unwrap();
            lab
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.path()).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn seal(&self, source: &str, target: Target<'_>, replace: bool) -> Result<PathBuf, ArtifactError> {
            self.seal_heard(source, target, replace, &mut |_| ())
        }

        fn seal_heard(
            &self,
            source: &str,
            target: Target<'_>,
            replace: bool,
            progress: &mut dyn FnMut(Progress),
        ) -> Result<PathBuf, ArtifactError> {
            let options =
                SealOptions { frame_length: FrameLength::new(32).unwrap(), ..SealOptions::default() };
            let (source, random) = (self.path(source), &mut SeededRandom::new(1));
            seal(Source::File(&source), target, replace, &keyring(1), &options, random, progress)
                .map(|done| done.path.unwrap_or_default())
        }

        fn open(&self, source: &str, target: Target<'_>, key: u8) -> Result<PathBuf, ArtifactError> {
            let source = self.path(source);
            open(Source::File(&source), target, false, &keyring(key), &OpenOptions::default(), &mut |_| ())
                .map(|done| done.path.unwrap_or_default())
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_sealed_beside_itself_and_opened_again() {
        let lab = Lab::new();
        assert_eq!(lab.seal("x", Target::Beside, false).unwrap(), lab.path("x.sealed"));
        assert_ne!(fs::read(lab.path("x.sealed")).unwrap(), [7; 100]);
        fs::remove_file(lab.path("x")).unwrap();
        assert_eq!(lab.open("x.sealed", Target::Beside, 1).unwrap(), lab.path("x"));
        assert_eq!(fs::read(lab.path("x")).unwrap(), [7; 100]);
        assert_eq!(lab.names(), ["x", "x.sealed"]);
    }

    #[test]
    fn plaintext_is_for_its_owner_alone_and_a_message_for_whom_the_umask_lets() {
        let lab = Lab::new();
        let sealed = lab.seal("x", Target::Beside, false).unwrap();
        assert_eq!(mode(&sealed), mode(&lab.path("x")));
        let opened = lab.open("x.sealed", Target::File(&lab.path("y")), 1).unwrap();
        assert_eq!(mode(&opened), 0o600);
    }

    #[test]
    fn a_file_that_exists_is_replaced_only_when_asked() {
        let lab = Lab::new();
        fs::write(lab.path("x.sealed"), b"mine").unwrap();
        let error = lab.seal("x", Target::Beside, false).unwrap_err();
        assert_eq!(
            (error.class(), fs::read(lab.path("x.sealed")).unwrap()),
            (ErrorClass::Failed, b"mine".to_vec())
        );
        lab.seal("x", Target::Beside, true).unwrap();
        let error = lab.open("x.sealed", Target::Beside, 1).unwrap_err();
        assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
        assert_eq!(lab.names(), ["x", "x.sealed"]);
    }

    #[test]
    fn a_target_that_appears_meanwhile_is_not_replaced() {
        let lab = Lab::new();
        let late = lab.path("x.sealed");
        let error = lab
            .seal_heard("x", Target::Beside, false, &mut |_| fs::write(&late, b"mine").unwrap())
            .unwrap_err();
        assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&late).unwrap(), b"mine");
        assert_eq!(lab.names(), ["x", "x.sealed"]);
    }

    #[test]
    fn what_does_not_open_leaves_nothing_behind() {
        let lab = Lab::new();
        let sealed = lab.seal("x", Target::Beside, false).unwrap();
        fs::remove_file(lab.path("x")).unwrap();
        let whole = fs::read(&sealed).unwrap();
        let error = lab.open("x.sealed", Target::Beside, 2).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Integrity);
        for damaged in [&whole[..whole.len() - 1], &[whole.as_slice(), b"x"].concat()] {
            fs::write(&sealed, damaged).unwrap();
            let error = lab.open("x.sealed", Target::Beside, 1).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Integrity, "{error}");
            assert_eq!(lab.names(), ["x.sealed"]);
        }
    }

    #[test]
    fn a_source_that_changes_meanwhile_is_noticed() {
        let lab = Lab::new();
        let source = lab.path("x");
        for change in [&[8; 100][..], &[7; 101], &[7; 10]] {
            fs::write(&source, [7; 100]).unwrap();
            let (mut first, source) = (true, &source);
            let error = lab
                .seal_heard("x", Target::Beside, false, &mut |_| {
                    if std::mem::take(&mut first) {
                        fs::write(source, change).unwrap();
                        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
                        File::options().write(true).open(source).unwrap().set_modified(later).unwrap();
                    }
                })
                .unwrap_err();
            assert!(matches!(error, ArtifactError::Changed { .. }), "{error}");
            assert_eq!(lab.names(), ["x"]);
        }
    }

    #[test]
    fn a_source_whose_time_of_modification_is_set_back_is_noticed() {
        use std::os::unix::fs::MetadataExt;
        let lab = Lab::new();
        let source = &lab.path("x");
        fs::write(source, [7; 100]).unwrap();
        let before = fs::metadata(source).unwrap();
        let (mut first, changed) =
            (true, |metadata: &fs::Metadata| (metadata.ctime(), metadata.ctime_nsec()));
        let error = lab
            .seal_heard("x", Target::Beside, false, &mut |_| {
                if std::mem::take(&mut first) {
                    fs::write(source, [8; 100]).unwrap();
                    let file = File::options().write(true).open(source).unwrap();
                    // Until the file system's clock has ticked.
                    while changed(&fs::metadata(source).unwrap()) == changed(&before) {
                        file.set_modified(before.modified().unwrap()).unwrap();
                    }
                    file.set_modified(before.modified().unwrap()).unwrap();
                }
            })
            .unwrap_err();
        assert!(matches!(error, ArtifactError::Changed { .. }), "{error}");
    }

    #[test]
    fn what_is_no_file_is_named_for_what_it_is() {
        let lab = Lab::new();
        fs::create_dir(lab.path("dir")).unwrap();
        symlink(lab.path("gone"), lab.path("broken")).unwrap();
        symlink(lab.path("x"), lab.path("link")).unwrap();
        let message = |source: &str| {
            let error = lab.seal(source, Target::Beside, false).unwrap_err();
            error.to_string().replace(&format!("{}/", lab.0.path().display()), "")
        };
        assert_eq!(message("dir"), "`dir` is a directory, not a file");
        assert_eq!(
            message("broken"),
            "`broken` cannot be read: it is a symbolic link to a file that does not exist"
        );
        assert_eq!(message("/dev/null"), "`/dev/null` is a device, not a file");
        assert!(message("gone").starts_with("`gone` cannot be read: No such file"));
        assert_eq!(lab.seal("link", Target::Beside, false).unwrap(), lab.path("link.sealed"));
    }

    #[test]
    fn neither_the_source_nor_a_link_nor_a_device_is_ever_replaced() {
        let lab = Lab::new();
        symlink(lab.path("x"), lab.path("to-x")).unwrap();
        symlink(lab.path("elsewhere"), lab.path("link")).unwrap();
        for target in ["x", "to-x"] {
            let error = lab.seal("x", Target::File(&lab.path(target)), true).unwrap_err();
            assert!(matches!(error, ArtifactError::SameFile { .. }), "{error}");
        }
        for target in [&lab.path("link"), Path::new("/dev/null"), lab.0.path()] {
            let error = lab.seal("x", Target::File(target), true).unwrap_err();
            assert!(matches!(error, ArtifactError::NotAFile { .. }), "{error}");
        }
        let error = lab.seal("x", Target::File(&lab.path("no/such/dir")), false).unwrap_err();
        assert!(matches!(error, ArtifactError::Unwritable { .. }), "{error}");
        assert_eq!(lab.names(), ["link", "to-x", "x"]);
    }

    #[test]
    fn streams_go_in_and_out_and_each_read_is_heard_of() {
        let lab = Lab::new();
        let (mut message, mut heard) = (Vec::new(), Vec::new());
        lab.seal_heard("x", Target::Stream(&mut message), false, &mut |progress| heard.push(progress))
            .unwrap();
        assert_eq!(heard.last(), Some(&Progress { done_bytes: 100, total_bytes: Some(100) }));

        let attempt = |mut message: &[u8], target: Target<'_>| {
            let options = OpenOptions::default();
            open(Source::Stream(&mut message), target, false, &keyring(1), &options, &mut |_| ())
        };
        let mut plaintext = Vec::new();
        assert_eq!(attempt(&message, Target::Stream(&mut plaintext)).unwrap().path, None);
        assert_eq!(plaintext, [7; 100]);
        assert_eq!(attempt(&message, Target::File(&lab.path("y"))).unwrap().path, Some(lab.path("y")));
        assert!(matches!(attempt(&message, Target::Beside), Err(ArtifactError::NoName)));

        let mut part = Vec::new();
        let cut = attempt(&message[..message.len() - 1], Target::Stream(&mut part));
        assert!(matches!(cut, Err(ArtifactError::Open(OpenMessageError::Truncated))));
        assert_eq!(part, [7; 96], "verified frames are released");
    }
}
