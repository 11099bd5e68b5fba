//! The plaintext of one message on its way into another, in the memory of a few frames and on no disk.
//!
//! INVARIANT: whoever reads never takes a message that failed for one that ended. The end is passed on only once the last
//! frame was verified; before that a reader that runs dry gets an error.

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use zeroize::Zeroizing;

/// How many pieces wait at most. A piece is at most a frame.
const PIECES_WAITING_MAX: usize = 2;

/// Lets `give` write what `take` reads, side by side. The reader's end comes when `give` succeeds.
///
/// Answers what both answered. When one fails the other does too, in a write or read of the pipe.
pub(super) fn through<G: Send, E: Send, T>(
    give: impl FnOnce(&mut dyn Write) -> Result<G, E> + Send,
    take: impl FnOnce(&mut dyn Read) -> T,
) -> (Result<G, E>, T) {
    let (sender, receiver) = sync_channel(PIECES_WAITING_MAX);
    thread::scope(|scope| {
        let giving = scope.spawn(move || {
            let mut writer = PipeWriter(sender);
            let given = give(&mut writer);
            if given.is_ok() {
                // Whoever reads no more need not hear of the end.
                let _gone = writer.0.send(None);
            }
            given
        });
        let mut reader =
            PipeReader { receiver: Some(receiver), piece: Zeroizing::default(), at: 0, ended: false };
        let taken = take(&mut reader);
        reader.receiver = None;
        match giving.join() {
            Ok(given) => (given, taken),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

struct PipeWriter(SyncSender<Option<Zeroizing<Vec<u8>>>>);

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Zeroizing::new(bytes.to_vec());
        self.0.send(Some(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct PipeReader {
    receiver: Option<Receiver<Option<Zeroizing<Vec<u8>>>>>,
    piece: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            match self.receiver.as_ref().and_then(|receiver| receiver.recv().ok()) {
                Some(Some(piece)) => (self.piece, self.at) = (piece, 0),
                Some(None) => self.ended = true,
                None => return Err(io::Error::other("the message that is moved did not open")),
            }
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer.split_at_mut(length).0.copy_from_slice(rest.split_at(length).0);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn all_that_is_given_is_taken_and_ends_only_when_the_giver_says_so() {
        let give = |writer: &mut dyn Write| (0..100_u8).try_for_each(|byte| writer.write_all(&[byte; 7]));
        let (given, taken) = through(give, read_all);
        assert!(given.is_ok());
        assert_eq!(taken.unwrap(), (0..100).flat_map(|byte| [byte; 7]).collect::<Vec<u8>>());
        assert_eq!(through(|_| Ok::<_, ()>(()), read_all).1.unwrap(), b"");
        let (given, taken) =
            through(|writer| writer.write_all(b"part").and(Err::<(), _>(io::Error::other("no"))), read_all);
        assert!(given.is_err() && taken.is_err(), "a part is not the whole");
    }

    #[test]
    fn a_giver_whose_taker_left_fails_and_does_not_wait() {
        let give = |writer: &mut dyn Write| (0..100).try_for_each(|_| writer.write_all(b"piece"));
        let (given, ()) = through(give, |_| ());
        assert_eq!(given.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
