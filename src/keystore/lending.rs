//! How a command comes by a keystore that is being served: the server lends it.
//!
//! One process has a keystore open at a time. A server listens on a Unix socket in the keystore's directory; whoever
//! connects there and says who it is is told when the server has finished what it had begun and closed the keystore. The
//! borrower opens it as it would any keystore, with the key file or passphrase, and gives it back by closing the
//! connection, as also its death does. So every command works on a served keystore, whole and unchanged, and the socket
//! gives nothing but a turn: what opens the keystore is needed all the same.
//!
//! INVARIANT: the socket is in a directory of mode 0700, has mode 0600 itself, and each side checks that the other is of
//! the same user.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Keystore, KeystoreError, Unsealer, directory::SOCKET_FILE, recovery::Rollback};

/// The longest line that either side says, in bytes.
pub const LINE_BYTES_MAX: usize = 256;
/// What the server says when the keystore is the borrower's.
pub const LENT: &str = "lent";
/// What a borrower's line begins with.
pub const ASKING: &str = "borrow ";
/// How long a borrower waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest path of a socket that every system takes, in bytes (`sun_path` of macOS, with its end).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// A keystore's socket, on which a server listens until this is dropped.
#[derive(Debug)]
pub struct Lending {
    listener: UnixListener,
    path: PathBuf,
}

impl Lending {
    /// Listens in the directory of a keystore that this process has open.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn listen(directory: &Path) -> io::Result<Self> {
        let path = directory.join(SOCKET_FILE);
        // Whoever has the keystore open is the only one who may listen: what lies there is of one who was killed.
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = in_reach(directory, UnixListener::bind)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// The socket, for a runtime of its own.
    ///
    /// # Errors
    ///
    /// When the system has no more open files.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.path);
    }
}

/// A keystore that a server has lent: it waits until this is dropped. Drop the keystore first.
#[derive(Debug)]
pub struct Borrowed {
    _connection: UnixStream,
}

/// Asks whoever serves the keystore of this directory to lend it, and waits for the turn. `None` when nobody who lends
/// serves it.
///
/// # Errors
///
/// When the server does not lend it in time.
pub fn borrow(directory: &Path, who: &str) -> io::Result<Option<Borrowed>> {
    let Ok(mut connection) = in_reach(directory, UnixStream::connect) else { return Ok(None) };
    connection.set_read_timeout(Some(TURN_TIMEOUT))?;
    let who: String = who.chars().filter(|one| !one.is_control()).take(LINE_BYTES_MAX / 8).collect();
    connection.write_all(format!("{ASKING}{who}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(io::Read::take(&connection, LINE_BYTES_MAX as u64)).read_line(&mut line)?;
    match line.trim_end() {
        LENT => Ok(Some(Borrowed { _connection: connection })),
        // It is about to end, and the keystore will be free.
        "" => Ok(None),
        other => Err(io::Error::other(format!("the server said `{other}`"))),
    }
}

impl Keystore {
    /// Opens a keystore that is there. When it is being served, the server lends it until this is dropped; see
    /// [this module](self).
    ///
    /// # Errors
    ///
    /// When there is none, somebody else has it open or can read it, it is damaged or of a newer format, or its seal
    /// does not open. Nothing is written then.
    pub fn open(directory: &Path, unsealer: &mut dyn Unsealer, holder: &str) -> Result<Self, KeystoreError> {
        let locked = match Self::open_to_serve(directory, unsealer, holder) {
            Err(locked @ KeystoreError::Locked { .. }) => locked,
            opened => return opened,
        };
        match borrow(directory, holder).map_err(KeystoreError::io(directory))? {
            None => Err(locked),
            Some(borrowed) => {
                let keystore = Self::open_to_serve(directory, unsealer, holder)?;
                Ok(Self { _borrowed: Some(borrowed), ..keystore })
            }
        }
    }

    /// The same for who is to hold it long: of one that is being served already it only says who has it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_to_serve(
        directory: &Path,
        unsealer: &mut dyn Unsealer,
        holder: &str,
    ) -> Result<Self, KeystoreError> {
        Self::open_as(directory, unsealer, holder, Rollback::Refused).map(|(keystore, _)| keystore)
    }
}

/// Does something with the path of the socket; by way of the open directory where the path is longer than a socket's may be.
fn in_reach<T>(directory: &Path, act: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let path = directory.join(SOCKET_FILE);
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return act(path);
    }
    let opened = File::open(directory)?;
    act(Path::new("/proc/self/fd").join(opened.as_raw_fd().to_string()).join(SOCKET_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lending: &Lending, with: &'static str) -> std::thread::JoinHandle<String> {
        let listener = lending.listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&connection).read_line(&mut line).unwrap();
            connection.write_all(with.as_bytes()).unwrap();
            line
        })
    }

    #[test]
    fn a_borrower_says_who_it_is_and_hears_when_it_is_its_turn() {
        let place = tempfile::tempdir().unwrap();
        assert!(borrow(place.path(), "me").unwrap().is_none());
        let lending = Lending::listen(place.path()).unwrap();
        let mode = fs::metadata(place.path().join(SOCKET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let server = answer(&lending, "lent\n");
        assert!(borrow(place.path(), "keystead\nkey list").unwrap().is_some());
        assert_eq!(server.join().unwrap(), "borrow keysteadkey list\n");
        let server = answer(&lending, "no\n");
        assert!(borrow(place.path(), "me").is_err());
        server.join().unwrap();
        drop(lending);
        assert!(!place.path().join(SOCKET_FILE).exists());
        assert!(borrow(place.path(), "me").unwrap().is_none());
    }

    #[test]
    fn a_directory_deep_down_has_a_socket_too() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        // Left by a server that was killed.
        std::mem::forget(Lending::listen(&deep).unwrap());
        let lending = Lending::listen(&deep).unwrap();
        let server = answer(&lending, "lent\n");
        assert!(borrow(&deep, "me").unwrap().is_some());
        server.join().unwrap();
    }
}
