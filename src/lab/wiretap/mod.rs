//! An eavesdropper between two processes: it passes on what each says to the other, and keeps a copy.
//!
//! It can also meddle, by changing one bit of a record on its way. What it has seen is looked at with [`look`]: which parts
//! of a handshake there are, whether a text or a tensor can be found, how much like noise it is.

mod hello;
pub mod look;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

pub use hello::client_hello_of_tls_11;

/// The most that is kept of each direction of a connection, in bytes.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a connection over which nothing comes is kept open.
const IDLE: Duration = Duration::from_secs(60);
/// The header of a TLS record (RFC 8446, section 5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// What was said over one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// By the client.
    pub to_server: Vec<u8>,
    /// By the server.
    pub to_client: Vec<u8>,
}

/// What an eavesdropper does beside listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Meddling {
    /// Nothing.
    #[default]
    None,
    /// Changes one bit in the middle of the first record of a client that is at least this long.
    FlipBit {
        /// In bytes, without its header.
        record_bytes_min: usize,
    },
}

/// An eavesdropper. It ends with the process, or when it is dropped.
#[derive(Debug)]
pub struct Wiretap {
    address: SocketAddr,
    heard: Receiver<Conversation>,
    stopped: Arc<AtomicBool>,
}

impl Wiretap {
    /// Listens at an address and passes on to `target`.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened at.
    pub fn start(listen: SocketAddr, target: SocketAddr, meddling: Meddling) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let (say, heard) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        thread::Builder::new().name("keystead-wiretap".into()).spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let say = say.clone();
                thread::spawn(move || overhear(client, target, meddling, &say));
            }
        })?;
        Ok(Self { address, heard, stopped })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next conversation that has ended; waits for it that long.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Conversation> {
        self.heard.recv_timeout(patience).ok()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes it, so that it looks.
        let _gone_already = TcpStream::connect(self.address);
    }
}

/// Passes one connection on in both directions until both have ended.
fn overhear(client: TcpStream, target: SocketAddr, meddling: Meddling, say: &Sender<Conversation>) {
    let Ok(server) = TcpStream::connect(target) else { return };
    let set = [&client, &server]
        .map(|socket| socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(IDLE))));
    if set.iter().any(Result::is_err) {
        return;
    }
    let conversation = thread::scope(|scope| {
        let up = scope.spawn(|| pass_on(&client, &server, meddling));
        let to_client = pass_on(&server, &client, Meddling::None);
        Conversation { to_server: up.join().unwrap_or_default(), to_client }
    });
    // Nobody may want to know any more.
    let _unheard = say.send(conversation);
}

/// Copies one direction, and answers what was copied. A break on one side ends the other.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, meddling: Meddling) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let mut hand = Hand::new(meddling);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => {
                let _gone_already = to.shutdown(Shutdown::Write);
                return kept;
            }
            Ok(read) => read,
            Err(_) => break,
        };
        let part = buffer.get_mut(..read).unwrap_or_default();
        hand.meddle(part);
        let room = KEPT_BYTES_MAX.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(part.get(..room).unwrap_or_default());
        if to.write_all(part).is_err() {
            break;
        }
    }
    for socket in [from, to] {
        let _gone_already = socket.shutdown(Shutdown::Both);
    }
    kept
}

/// Changes a bit at the right place of a stream that comes in pieces.
struct Hand {
    record_bytes_min: Option<usize>,
    header: Vec<u8>,
    /// What is left of the record that is passing by.
    left: usize,
    /// How far ahead the bit is.
    ahead: Option<usize>,
}

impl Hand {
    fn new(meddling: Meddling) -> Self {
        let record_bytes_min = match meddling {
            Meddling::None => None,
            Meddling::FlipBit { record_bytes_min } => Some(record_bytes_min),
        };
        Self { record_bytes_min, header: Vec::new(), left: 0, ahead: None }
    }

    fn meddle(&mut self, part: &mut [u8]) {
        let Some(min) = self.record_bytes_min else { return };
        for byte in part {
            if self.left == 0 {
                self.header.push(*byte);
                if let [_, _, _, high, low] = self.header[..] {
                    self.left = usize::from(u16::from_be_bytes([high, low]));
                    self.header.clear();
                    self.ahead = (self.left >= min).then_some(self.left / 2);
                }
                debug_assert!(self.header.len() < RECORD_HEADER_BYTES);
                continue;
            }
            self.left -= 1;
            match self.ahead {
                Some(0) => {
                    *byte ^= 1;
                    self.record_bytes_min = None;
                    return;
                }
                Some(more) => self.ahead = Some(more - 1),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn both_directions_are_passed_on_and_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let tap = Wiretap::start(any, listener.local_addr().unwrap(), Meddling::None).unwrap();
        let mut client = TcpStream::connect(tap.address()).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut server = listener.accept().unwrap().0;
        let mut asked = String::new();
        server.read_to_string(&mut asked).unwrap();
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answered = String::new();
        client.read_to_string(&mut answered).unwrap();
        assert_eq!((asked.as_str(), answered.as_str()), ("question", "answer"));
        let heard = tap.next(PATIENCE).unwrap();
        assert_eq!((&heard.to_server[..], &heard.to_client[..]), (&b"question"[..], &b"answer"[..]));
    }

    #[test]
    fn one_bit_of_the_right_record_is_changed_however_the_stream_is_cut() {
        let mut stream = vec![22, 3, 1, 0, 4, 1, 2, 3, 4];
        stream.extend_from_slice(&[23, 3, 3, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        stream.extend_from_slice(&[23, 3, 3, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut expected = stream.clone();
        expected[9 + 5 + 4] ^= 1;
        for size in 1..stream.len() {
            let mut hand = Hand::new(Meddling::FlipBit { record_bytes_min: 8 });
            let mut passed = stream.clone();
            passed.chunks_mut(size).for_each(|part| hand.meddle(part));
            assert_eq!(passed, expected, "{size}");
        }
        let mut hand = Hand::new(Meddling::FlipBit { record_bytes_min: 9 });
        let mut passed = stream.clone();
        hand.meddle(&mut passed);
        assert_eq!(passed, stream);
    }
}
