//! Sockets that do not wait for ever: an idle, slow or half-open peer is let go, and there are never too many.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::TransitError;

/// How long peers may take, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the whole handshake, however many bytes trickle in meanwhile.
    pub handshake: Duration,
    /// Without a byte, once the handshake is over.
    pub idle: Duration,
    /// Peers at once.
    pub peers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshake: Duration::from_secs(10), idle: Duration::from_secs(60), peers_max: 256 }
    }
}

/// A socket whose every wait has an end.
#[derive(Debug)]
pub struct Bounded {
    socket: TcpStream,
    idle: Duration,
    until: Option<Instant>,
}

impl Bounded {
    /// Waits at most `idle` for each byte, and with `whole` at most that long in all until [`Bounded::settle`].
    #[must_use]
    pub fn new(socket: TcpStream, idle: Duration, whole: Option<Duration>) -> Self {
        Self { socket, idle, until: whole.and_then(|whole| Instant::now().checked_add(whole)) }
    }

    /// From now on only idleness counts.
    pub fn settle(&mut self) {
        self.until = None;
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// How long the next wait may be.
    fn wait(&self) -> io::Result<Duration> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let wait = left.map_or(self.idle, |left| left.min(self.idle));
        if wait.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(wait) }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.wait()?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.wait()?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A socket that times out says `WouldBlock`, which elsewhere means "try again".
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Counts who is inside, and lets in no more than may be.
#[derive(Debug, Clone)]
pub struct Gate {
    inside: Arc<AtomicUsize>,
    max: usize,
}

/// A place inside; dropped, it is free again.
#[derive(Debug)]
pub struct Pass(Arc<AtomicUsize>);

impl Gate {
    /// For `max` at once.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { inside: Arc::default(), max }
    }

    /// Lets one more in.
    ///
    /// # Errors
    ///
    /// [`TransitError::TooManyPeers`] when as many as may be are inside.
    pub fn enter(&self) -> Result<Pass, TransitError> {
        let more = |inside: usize| (inside < self.max).then_some(inside + 1);
        match self.inside.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Pass(Arc::clone(&self.inside))),
            Err(_) => Err(TransitError::TooManyPeers(self.max)),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[test]
    fn a_silent_peer_is_let_go() {
        let (near, _far) = pair();
        let mut near = Bounded::new(near, Duration::from_millis(20), None);
        let error = near.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(TransitError::from(error), TransitError::TimedOut));
    }

    #[test]
    fn a_peer_that_trickles_is_let_go_when_the_whole_time_is_over() {
        let (near, mut far) = pair();
        let began = Instant::now();
        let mut near = Bounded::new(near, Duration::from_secs(60), Some(Duration::from_millis(50)));
        let mut read = 0;
        let error = loop {
            // Each byte comes at once, so that no single wait is long.
            far.write_all(b"x").unwrap();
            match near.read(&mut [0]) {
                Ok(bytes) => read += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(read > 0 && began.elapsed() < Duration::from_secs(30));
        near.settle();
        far.write_all(b"x").unwrap();
        assert_eq!(near.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn no_more_are_let_in_than_may_be_and_a_place_is_free_again() {
        let gate = Gate::new(2);
        let (one, two) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert!(matches!(gate.enter(), Err(TransitError::TooManyPeers(2))));
        drop(one);
        let again = gate.enter().unwrap();
        assert!(gate.enter().is_err());
        drop((two, again));
        assert!(gate.enter().is_ok());
    }
}
