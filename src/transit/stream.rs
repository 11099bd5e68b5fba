//! Sockets that do not wait for ever: an idle, slow or half-open peer is let go, and there are never too many.

use std::{
    io::{self, BufRead, Read, Write},
    net::{Shutdown, TcpStream},
    ops::DerefMut,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustls::{ConnectionCommon, SideData, StreamOwned};

use super::TransitError;

/// How long peers may take, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the whole handshake, however many bytes trickle in meanwhile.
    pub handshake: Duration,
    /// Without a byte, once the handshake is over.
    pub idle: Duration,
    /// For a peer that was refused to hear why and hang up.
    pub farewell: Duration,
    /// Peers at once.
    pub peers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            farewell: Duration::from_secs(1),
            peers_max: 256,
        }
    }
}

/// A stream in both directions that can say its end: TLS, or a plain socket. What has come is read where it lies by
/// [`BufRead`], which saves a copy.
pub trait Duplex: BufRead + Write {
    /// Says that nothing more follows, so that the other side can tell the end from a cut. One that has gone is not told.
    ///
    /// # Errors
    ///
    /// When it cannot be said.
    fn finish(&mut self) -> Result<(), TransitError>;

    /// Hangs up on a peer that was refused, so that it hears why: a socket that is closed over bytes which nobody read is
    /// reset, and a reset overtakes what was said before it. Waits no longer than [`Limits::farewell`].
    fn hang_up(&mut self);
}

impl<C, S> Duplex for StreamOwned<C, Bounded>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData + 'static,
{
    fn finish(&mut self) -> Result<(), TransitError> {
        self.conn.send_close_notify();
        while self.conn.wants_write() {
            if let Err(error) = self.conn.write_tls(&mut self.sock) {
                return or_gone(error);
            }
        }
        self.sock.finish()
    }

    fn hang_up(&mut self) {
        self.sock.hang_up();
    }
}

impl Duplex for Bounded {
    fn finish(&mut self) -> Result<(), TransitError> {
        self.socket.shutdown(Shutdown::Write).or_else(or_gone)
    }

    fn hang_up(&mut self) {
        if self.socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        self.until = Instant::now().checked_add(self.farewell);
        (self.start, self.end) = (0, 0);
        let mut passed_over = 0;
        while passed_over < FAREWELL_BYTES_MAX {
            match self.fill() {
                Ok(0) | Err(_) => break,
                Ok(bytes) => passed_over += bytes,
            }
        }
    }
}

/// That a peer has gone is no fault where nothing more was to be said to it.
fn or_gone(error: io::Error) -> Result<(), TransitError> {
    match TransitError::from(error) {
        TransitError::CutOff => Ok(()),
        other => Err(other),
    }
}

/// Why nothing more could be sent, in the peer's own words when it said why it stopped reading.
#[must_use]
pub fn reason(stream: &mut dyn Duplex, error: io::Error) -> TransitError {
    match TransitError::from(error) {
        error @ TransitError::CutOff => match stream.read(&mut [0]).map_err(TransitError::from) {
            Err(refused @ TransitError::PeerRefused(_)) => refused,
            _ => error,
        },
        other => other,
    }
}

/// What is read from the system at once: `rustls` asks for 4 KiB, and each call costs as much as decrypting that.
const INPUT_BYTES: usize = 256 * 1024;
/// How much is encrypted before it is handed to the system, which costs as much as encrypting some records.
pub(super) const OUTPUT_BYTES: usize = 256 * 1024;
/// How much of what a refused peer still sends is passed over.
const FAREWELL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A socket whose every wait has an end.
#[derive(Debug)]
pub struct Bounded {
    socket: TcpStream,
    idle: Duration,
    farewell: Duration,
    until: Option<Instant>,
    input: Box<[u8]>,
    /// Where what was read and not handed out yet begins and ends.
    start: usize,
    end: usize,
    /// What the socket's time-outs are set to.
    waits: [Option<Duration>; 2],
}

impl Bounded {
    /// Waits for each byte as long as a peer may be idle.
    #[must_use]
    pub fn new(socket: TcpStream, limits: &Limits) -> Self {
        let input = vec![0; INPUT_BYTES].into_boxed_slice();
        let Limits { idle, farewell, .. } = *limits;
        Self { socket, idle, farewell, until: None, input, start: 0, end: 0, waits: [None; 2] }
    }

    /// Waits that long in all, until [`Bounded::settle`].
    #[must_use]
    pub fn within(mut self, whole: Duration) -> Self {
        self.until = Instant::now().checked_add(whole);
        self
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

    /// The same, when there is still somebody to hear it.
    pub(super) fn hang_up_unless_gone(&mut self, why: &TransitError) {
        if !why.is_of_nobody() {
            self.hang_up();
        }
    }

    /// How long the next wait may be.
    fn wait(&self) -> io::Result<Duration> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let wait = left.map_or(self.idle, |left| left.min(self.idle));
        if wait.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(wait) }
    }

    /// Reads what the system has.
    fn fill(&mut self) -> io::Result<usize> {
        let wait = Some(self.wait()?);
        if self.waits[0] != wait {
            self.socket.set_read_timeout(wait)?;
            self.waits[0] = wait;
        }
        self.socket.read(&mut self.input).map_err(timed_out)
    }

    fn before_writing(&mut self) -> io::Result<()> {
        let wait = Some(self.wait()?);
        if self.waits[1] != wait {
            self.socket.set_write_timeout(wait)?;
            self.waits[1] = wait;
        }
        Ok(())
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Bounded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, self.fill()?);
        }
        Ok(self.input.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.before_writing()?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.before_writing()?;
        self.socket.write_vectored(parts).map_err(timed_out)
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
        let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
        let mut near = Bounded::new(near, &limits);
        let error = near.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(TransitError::from(error), TransitError::TimedOut));
    }

    #[test]
    fn a_peer_that_trickles_is_let_go_when_the_whole_time_is_over() {
        let (near, mut far) = pair();
        let began = Instant::now();
        let mut near = Bounded::new(near, &Limits::default()).within(Duration::from_millis(50));
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
    fn who_is_hung_up_on_hears_what_was_said_and_cannot_hold_on() {
        let (near, mut far) = pair();
        let limits = Limits { farewell: Duration::from_millis(50), ..Limits::default() };
        let mut near = Bounded::new(near, &limits);
        far.write_all(&[0; 100_000]).unwrap();
        near.write_all(b"no").unwrap();
        // The far side does not hang up, and is not waited for.
        near.hang_up();
        drop(near);
        let mut heard = [0; 2];
        far.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"no");
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
