//! Messages read and written at positions (AWS Encryption SDK message format, "Framed data"): whole files on all cores, and
//! parts of a message without the rest.
//!
//! Each frame depends on the key, the message id, its number and its length alone, so its place in the file is
//! arithmetic. What no frame can tell is the length of the whole: a file that was cut at a frame's end looks whole. So the
//! final frame is authenticated before any other is believed.
//!
//! A signature covers the whole message in order. Signed messages are therefore sealed and opened as streams here too, and
//! are refused where a part is asked for.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
    thread,
};

use zeroize::Zeroizing;

use super::{
    BodySizes, Content, Header, Keyring, OpenMessageError, OpenOptions, Opened, SealError, SealOptions,
    Sealed,
    batch::{Batching, FINAL_OVERHEAD, OpenBatch, REGULAR_OVERHEAD, SealBatch, zeroed},
    frame::{END_MARK, FrameBytes, MessageCipher, Part},
    header::UnverifiedHeader,
    open::{Unlocked, unlock},
    pipeline,
    seal::NewMessage,
};
use crate::crypto::random::Random;

/// The header is read through a buffer of this size.
const HEADER_BUFFER_BYTES: usize = 16 * 1024;
/// Frames that were read in part are kept, as many as this or as have so many bytes.
const CACHED_FRAMES_MAX: usize = 4;
const CACHED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// From this many whole frames on, a read uses all cores.
const PARALLEL_FRAMES_MIN: usize = 4;

/// Bytes that are read at any position, by any thread: a file, a slice, a range of a remote object.
pub trait ReadAt: Sync {
    /// Reads up to as many bytes as `buffer` has, from `offset` on; 0 at the end.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be read, or there are too few ([`io::ErrorKind::UnexpectedEof`]).
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut from = Cursor { bytes: self, position: offset };
        from.read_exact(buffer)
    }
}

/// A place for bytes that are written at any position, by any thread.
pub trait WriteAt: Sync {
    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl WriteAt for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        self.get(start..).unwrap_or_default().read(buffer)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

/// Reads or writes on from a position.
struct Cursor<'bytes, B: ?Sized> {
    bytes: &'bytes B,
    position: u64,
}

impl<B: ReadAt + ?Sized> Read for Cursor<'_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<B: WriteAt + ?Sized> Write for Cursor<'_, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells how much was read, for somebody who watches.
struct Heard<'heard, R> {
    reader: R,
    heard: &'heard mut dyn FnMut(u64),
}

impl<R: Read> Read for Heard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.heard)(read as u64);
        Ok(read)
    }
}

/// Seals the `source_bytes` bytes of `source` as one message under a new data key, written to `target` from its beginning
/// on. `heard` is told of how many bytes were read, piece by piece.
///
/// # Errors
///
/// As [`seal`](super::seal); also when the source is shorter. When it fails, what was written is no message.
pub fn seal_at(
    source: &impl ReadAt,
    source_bytes: u64,
    target: &impl WriteAt,
    keyring: &dyn Keyring,
    options: &SealOptions,
    random: &mut dyn Random,
    heard: &mut dyn FnMut(u64),
) -> Result<Sealed, SealError> {
    if options.suite.signs() {
        let reader = Cursor { bytes: source, position: 0 }.take(source_bytes);
        let writer = Cursor { bytes: target, position: 0 };
        return super::seal(Heard { reader, heard }, writer, keyring, options, random);
    }
    let frame_length = options.frame_length.get().get();
    let batching = Batching::of(frame_length);
    let regular = source_bytes / u64::from(frame_length);
    let too_long = || SealError::TooLong { frame_length };
    let frames = u32::try_from(regular + 1).map_err(|_| too_long())?;
    let NewMessage { header, header_bytes, cipher, .. } = NewMessage::make(keyring, options, random)?;
    target.write_all_at(&header_bytes, 0).map_err(SealError::Write)?;
    let place = Places { header_bytes: header_bytes.len() as u64, batching, regular };

    let work = |batch: &mut SealBatch, piece: u64| {
        let (first, count) = place.piece(piece);
        let text = batch.text(batching, number(first), count).map_err(SealError::Read)?;
        source.read_exact_at(text, place.text(first)).map_err(SealError::Read)?;
        let bytes = text.len() as u64;
        batch.seal_text(&cipher, batching);
        target.write_all_at(batch.bytes(), place.frame(first)).map_err(SealError::Write)?;
        Ok::<_, SealError>(bytes)
    };
    pipeline::at_positions(place.pieces(), &SealBatch::default, &work, heard)?;

    let mut last = SealBatch::default();
    let at = place.text(regular);
    let mut rest = Cursor { bytes: source, position: at }.take(source_bytes - at);
    last.read(&mut rest, batching, number(regular)).map_err(SealError::Read)?;
    if last.frames > 0 || last.last.map_or(0, |last| last as u64) != source_bytes - at {
        return Err(SealError::Read(io::ErrorKind::UnexpectedEof.into()));
    }
    last.seal(&cipher, batching);
    target.write_all_at(last.bytes(), place.frame(regular)).map_err(SealError::Write)?;
    heard(source_bytes - at);
    let message_bytes = place.frame(regular) + last.bytes().len() as u64;
    let header_bytes = place.header_bytes;
    Ok(Sealed { header, header_bytes, plaintext_bytes: source_bytes, message_bytes, frames })
}

/// Opens the message of `message_bytes` bytes in `source`; its plaintext is written to `target` from its beginning on.
/// `heard` is told of how many bytes were read, piece by piece.
///
/// # Errors
///
/// As [`open`](super::open). Frames that opened may have been written in any order then: `target` is of no use.
pub fn open_at(
    source: &impl ReadAt,
    message_bytes: u64,
    target: &impl WriteAt,
    keyring: &dyn Keyring,
    options: &OpenOptions,
    heard: &mut dyn FnMut(u64),
) -> Result<Opened, OpenMessageError> {
    let header = UnverifiedHeader::read(header_reader(source))?.header;
    if header.suite.signs() || header.content == Content::Unframed {
        let reader = Cursor { bytes: source, position: 0 }.take(message_bytes);
        let writer = Cursor { bytes: target, position: 0 };
        return super::open(Heard { reader, heard }, writer, keyring, options);
    }
    let message = SealedMessage::open(source, message_bytes, keyring, options)?;
    let SealedMessage { ref cipher, ref place, ref last, .. } = message;
    let batching = place.batching;
    let work = |batch: &mut OpenBatch, piece: u64| {
        let (first, count) = place.piece(piece);
        batch.begin(number(first));
        batch.frames = count;
        let bytes = batch
            .room
            .grow(count * (batching.frame_length + REGULAR_OVERHEAD))
            .map_err(OpenMessageError::Read)?;
        source.read_exact_at(bytes, place.frame(first)).map_err(read_error)?;
        let read = bytes.len() as u64;
        batch.open(cipher, batching);
        if let Some(error) = batch.take_error() {
            return Err(error);
        }
        target.write_all_at(batch.text(), place.text(first)).map_err(OpenMessageError::Write)?;
        Ok(read)
    };
    heard(place.header_bytes);
    pipeline::at_positions(place.pieces(), &OpenBatch::default, &work, heard)?;
    target.write_all_at(last, place.text(place.regular)).map_err(OpenMessageError::Write)?;
    heard(message_bytes - place.frame(place.regular));
    let BodySizes { plaintext_bytes, frames, .. } = message.sizes;
    let header_bytes = place.header_bytes;
    Ok(Opened { header: message.header, header_bytes, plaintext_bytes, frames })
}

/// The number of a frame, counted from 0 here and from 1 in a message. There are fewer than 2³².
fn number(frame: u64) -> u32 {
    u32::try_from(frame + 1).unwrap_or(END_MARK)
}

fn header_reader(source: &(impl ReadAt + ?Sized)) -> impl Read {
    io::BufReader::with_capacity(HEADER_BUFFER_BYTES, Cursor { bytes: source, position: 0 })
}

/// Where the frames of a message lie, counted from 0.
#[derive(Debug, Clone, Copy)]
struct Places {
    header_bytes: u64,
    batching: Batching,
    /// How many regular frames there are.
    regular: u64,
}

impl Places {
    /// The position of a frame in the message.
    fn frame(&self, frame: u64) -> u64 {
        self.header_bytes + frame * (self.batching.frame_length + REGULAR_OVERHEAD) as u64
    }

    /// The position of its plaintext.
    fn text(&self, frame: u64) -> u64 {
        frame * self.batching.frame_length as u64
    }

    fn pieces(&self) -> u64 {
        self.regular.div_ceil(self.batching.frames as u64)
    }

    /// The first regular frame of a piece, and how many it has.
    fn piece(&self, piece: u64) -> (u64, usize) {
        let first = piece * self.batching.frames as u64;
        let count = (self.regular - first).min(self.batching.frames as u64);
        (first, usize::try_from(count).unwrap_or(self.batching.frames))
    }
}

/// A message that is read at any position, by any thread, without the rest of it being read.
///
/// ```
/// use keystead::{
///     crypto::random::{Random, SystemRandom},
///     envelope::{OpenOptions, RawAesKeyring, SealOptions, SealedMessage, seal},
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let random: &mut dyn Random = &mut SystemRandom;
/// let keyring = RawAesKeyring::new("lab", "laptop", random.secret()?)?;
/// let mut message = Vec::new();
/// seal(&b"weights and biases"[..], &mut message, &keyring, &SealOptions::default(), random)?;
///
/// let length = message.len() as u64;
/// let message = SealedMessage::open(message, length, &keyring, &OpenOptions::default())?;
/// let mut part = [0; 6];
/// message.read_exact_at(&mut part, 12)?;
/// assert_eq!(&part, b"biases");
/// # Ok(())
/// # }
/// ```
pub struct SealedMessage<R> {
    source: R,
    header: Header,
    cipher: MessageCipher,
    place: Places,
    sizes: BodySizes,
    /// The plaintext of the final frame, which proved the length.
    last: Zeroizing<Vec<u8>>,
    /// The frames that were last read in part, newest last.
    cache: Mutex<Vec<(u64, Zeroizing<Vec<u8>>)>>,
    /// Rooms for ciphertext that no read uses now: new ones would cost more than AES.
    rooms: Mutex<Vec<Vec<u8>>>,
}

impl<R: ReadAt> SealedMessage<R> {
    /// Opens the message of `message_bytes` bytes in `source`: unwraps its data key, compares the commitment, verifies the
    /// header and then the final frame, without which a message that was cut short would look whole.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open); also when the message is signed or in one piece, of which no part can be verified alone.
    pub fn open(
        source: R,
        message_bytes: u64,
        keyring: &dyn Keyring,
        options: &OpenOptions,
    ) -> Result<Self, OpenMessageError> {
        let header = UnverifiedHeader::read(header_reader(&source))?.header;
        let suite = header.suite;
        let in_part = |why| OpenMessageError::NotInPart { suite, why };
        if suite.signs() {
            return Err(in_part("its signature covers the whole message"));
        }
        let Content::Framed { frame_length } = header.content else {
            return Err(in_part("it is in one piece"));
        };
        let Unlocked { unverified, cipher } = unlock(&mut header_reader(&source), keyring, options)?;
        // The signature is refused above by what the header said then; it is verified now.
        if unverified.header != header || header.context.get(super::signature::PUBLIC_KEY).is_some() {
            return Err(OpenMessageError::PublicKey);
        }
        let header_bytes = unverified.header_bytes();
        let sizes = message_bytes
            .checked_sub(header_bytes)
            .and_then(|body_bytes| BodySizes::of_body(body_bytes, frame_length))
            .ok_or(OpenMessageError::NoFinalFrame)?;
        let regular = u64::from(sizes.frames) - 1;
        let place = Places { header_bytes, batching: Batching::of(frame_length.get()), regular };
        let last = read_last(&source, &cipher, &place, &sizes)?;
        Ok(Self {
            source,
            header,
            cipher,
            place,
            sizes,
            last,
            cache: Mutex::default(),
            rooms: Mutex::default(),
        })
    }

    /// The message's header, which is authentic.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The length of the plaintext in bytes.
    #[must_use]
    pub fn plaintext_bytes(&self) -> u64 {
        self.sizes.plaintext_bytes
    }

    /// How many plaintext bytes each frame but the last holds.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.place.batching.frame_length
    }

    /// Reads plaintext from `offset` on into `buffer`; answers how many bytes: fewer than there is room for only at the
    /// end. Frames that the buffer takes whole are decrypted straight into it, several at once; of others the last few
    /// are remembered.
    ///
    /// # Errors
    ///
    /// When a frame is not what was sealed, or cannot be read. The buffer's content is of no use then, and holds nothing
    /// that was not verified.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, OpenMessageError> {
        let rest = self.sizes.plaintext_bytes.saturating_sub(offset);
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        let mut buffer = buffer.split_at_mut(length).0;
        let frame_bytes = self.frame_bytes();
        let mut frame = offset / frame_bytes as u64;
        // Less than a frame, so it fits.
        let within = (offset % frame_bytes as u64) as usize;
        if within > 0 || buffer.len() < frame_bytes {
            let (part, after) = buffer.split_at_mut((frame_bytes - within).min(length));
            self.read_part(frame, within, part)?;
            (buffer, frame) = (after, frame + 1);
        }
        let whole = buffer.len() / frame_bytes;
        let (middle, end) = buffer.split_at_mut(whole * frame_bytes);
        self.read_whole(frame, middle)?;
        if !end.is_empty() {
            self.read_part(frame + whole as u64, 0, end)?;
        }
        Ok(length)
    }

    /// Fills `buffer` with plaintext from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at); also when the plaintext ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), OpenMessageError> {
        let wanted = buffer.len();
        match self.read_at(buffer, offset)? {
            read if read == wanted => Ok(()),
            _ => Err(OpenMessageError::Read(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Decrypts whole frames, as many as `out` has room for, from this one on.
    fn read_whole(&self, first: u64, out: &mut [u8]) -> Result<(), OpenMessageError> {
        let frame_bytes = self.frame_bytes();
        let frames = out.len() / frame_bytes;
        let one_after_another = |first: u64, out: &mut [u8]| {
            self.with_room(|room| {
                let mut frames = (first..).zip(out.chunks_exact_mut(frame_bytes));
                frames.try_for_each(|(frame, text)| self.read_frame(frame, room, text))
            })
        };
        let threads = pipeline::workers().min(frames / (PARALLEL_FRAMES_MIN / 2));
        if frames < PARALLEL_FRAMES_MIN || threads < 2 {
            return one_after_another(first, out);
        }
        let share = frames.div_ceil(threads);
        thread::scope(|scope| {
            let parts = out.chunks_mut(share * frame_bytes).enumerate();
            let threads: Vec<_> = parts
                .map(|(part, out)| scope.spawn(move || one_after_another(first + (part * share) as u64, out)))
                .collect();
            let ended = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            // All of them end before any result counts.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// Does some work with a room for the ciphertext of a frame.
    fn with_room<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let rooms = || self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = rooms().pop().unwrap_or_default();
        let done = work(&mut room);
        if room.len() <= CACHED_BYTES_MAX {
            rooms().push(room);
        }
        done
    }

    /// Decrypts a whole frame into `text`.
    fn read_frame(&self, frame: u64, room: &mut Vec<u8>, text: &mut [u8]) -> Result<(), OpenMessageError> {
        if frame == self.place.regular {
            text.copy_from_slice(&self.last);
            return Ok(());
        }
        // It holds ciphertext alone.
        let length = text.len() + REGULAR_OVERHEAD;
        room.try_reserve_exact(length.saturating_sub(room.len())).map_err(|_| out_of_memory())?;
        room.resize(length, 0);
        self.source.read_exact_at(room, self.place.frame(frame)).map_err(read_error)?;
        let sequence = number(frame);
        let bytes = FrameBytes::regular(room).ok_or(OpenMessageError::NoFinalFrame)?;
        if bytes.sequence != sequence {
            return Err(OpenMessageError::Sequence { expected: sequence, found: bytes.sequence });
        }
        self.cipher
            .open_part_into(Part::Regular, sequence, &bytes, text)
            .map_err(|_| OpenMessageError::Frame { sequence })
    }

    /// Copies a part of a frame, from `within` on.
    fn read_part(&self, frame: u64, within: usize, out: &mut [u8]) -> Result<(), OpenMessageError> {
        if out.is_empty() {
            return Ok(());
        }
        let mut copy = |text: &[u8]| match text.get(within..within + out.len()) {
            Some(part) => out.copy_from_slice(part),
            // INVARIANT: no read goes beyond the plaintext's end, so each frame has the part that is asked for.
            None => out.fill(0),
        };
        if frame == self.place.regular {
            copy(&self.last);
            return Ok(());
        }
        if let Some((_, text)) = self.cached().iter().find(|(cached, _)| *cached == frame) {
            copy(text);
            return Ok(());
        }
        let mut text = zeroed(self.frame_bytes()).map_err(OpenMessageError::Read)?;
        self.with_room(|room| self.read_frame(frame, room, &mut text))?;
        copy(&text);
        let mut cache = self.cached();
        let room = (CACHED_BYTES_MAX / self.frame_bytes()).clamp(1, CACHED_FRAMES_MAX);
        while cache.len() >= room {
            cache.remove(0);
        }
        cache.push((frame, text));
        Ok(())
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Zeroizing<Vec<u8>>)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and authenticates the final frame, which must end where the message does.
fn read_last(
    source: &impl ReadAt,
    cipher: &MessageCipher,
    place: &Places,
    sizes: &BodySizes,
) -> Result<Zeroizing<Vec<u8>>, OpenMessageError> {
    let at = place.frame(place.regular);
    let length = sizes.final_frame_bytes as usize;
    let mut bytes = Vec::new();
    // Room is made as the bytes come.
    let mut reader = Cursor { bytes: source, position: at }.take((length + FINAL_OVERHEAD) as u64);
    reader.read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() < length + FINAL_OVERHEAD {
        return Err(OpenMessageError::Truncated);
    }
    let frame = FrameBytes::last(&bytes).ok_or(OpenMessageError::NoFinalFrame)?;
    if frame.sequence != sizes.frames {
        return Err(OpenMessageError::Sequence { expected: sizes.frames, found: frame.sequence });
    }
    let mut text = zeroed(length).map_err(OpenMessageError::Read)?;
    cipher
        .open_part_into(Part::Final, sizes.frames, &frame, &mut text)
        .map_err(|_| OpenMessageError::Frame { sequence: sizes.frames })?;
    Ok(text)
}

fn out_of_memory() -> OpenMessageError {
    OpenMessageError::Read(io::ErrorKind::OutOfMemory.into())
}

fn read_error(error: io::Error) -> OpenMessageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => OpenMessageError::Truncated,
        _ => OpenMessageError::Read(error),
    }
}

#[cfg(test)]
mod tests;
