//! How fast messages are sealed and opened in memory, beside bare AES-256-GCM of `aws-lc-rs`: `cargo bench --bench
//! envelope`. All rounds of one run are interleaved; what is printed are medians and their ratios.
//!
//! *frames alone* reads from a source and writes to a target that cost nothing: what is left beside AES is this program's
//! own work. *memory to memory* copies each byte in and out, as reading and writing files does; so does its peer.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::{error::Error, io, ops::Range, thread, time::Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use keystead::{
    crypto::random::SystemRandom,
    envelope::{OpenOptions, RawAesKeyring, ReadAt, SealOptions, WriteAt, open_at, seal_at},
    secret::SecretKey,
};
use rustix::thread::{CpuSet, sched_setaffinity};

const FRAME_BYTES: usize = 1 << 20;
const PLAINTEXT_BYTES: usize = 1024 * FRAME_BYTES;
const ROUNDS: usize = 9;

type Done = Result<(), Box<dyn Error>>;

/// Gives bytes without touching the buffer, and takes them without looking.
struct Free;

impl ReadAt for Free {
    fn read_at(&self, buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Ok(buffer.len())
    }
}

impl WriteAt for Free {
    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Takes each piece into a place of its thread's own, as a page cache takes a copy.
struct Copied;

impl WriteAt for Copied {
    fn write_all_at(&self, bytes: &[u8], _offset: u64) -> io::Result<()> {
        thread_local!(static PLACE: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) });
        PLACE.with_borrow_mut(|place| {
            place.clear();
            place.extend_from_slice(bytes);
            std::hint::black_box(place);
        });
        Ok(())
    }
}

fn main() -> Done {
    let cores = thread::available_parallelism()?.get().min(2);
    let keyring = RawAesKeyring::new("bench", "key", SecretKey::from_slice(&[1; 32]).ok_or("32 bytes")?)?;
    let plaintext = vec![7; PLAINTEXT_BYTES];
    let mut message = vec![0; PLAINTEXT_BYTES + PLAINTEXT_BYTES / 1024 + 4096];
    let length = {
        let target = Collected(std::sync::Mutex::new(&mut message));
        let bytes = PLAINTEXT_BYTES as u64;
        let options = SealOptions::default();
        seal_at(&plaintext, bytes, &target, &keyring, &options, &mut SystemRandom, &mut |_| ())?.message_bytes
    };
    message.truncate(usize::try_from(length)?);

    let free = || -> Done {
        let (bytes, options) = (PLAINTEXT_BYTES as u64, SealOptions::default());
        seal_at(&Free, bytes, &Free, &keyring, &options, &mut SystemRandom, &mut |_| ())?;
        Ok(())
    };
    let copied = || -> Done {
        let (bytes, options) = (PLAINTEXT_BYTES as u64, SealOptions::default());
        seal_at(&plaintext, bytes, &Copied, &keyring, &options, &mut SystemRandom, &mut |_| ())?;
        Ok(())
    };
    let opened = || -> Done {
        let options = OpenOptions::default();
        open_at(&message, length, &Copied, &keyring, &options, &mut |_| ())?;
        Ok(())
    };
    let bare_alone = || bare(None);
    let bare_copied = || bare(Some(&plaintext));

    let works: [(&str, &dyn Fn() -> Done); 5] = [
        ("aws-lc-rs alone", &bare_alone),
        ("seal, frames alone", &free),
        ("aws-lc-rs, memory to memory", &bare_copied),
        ("seal, memory to memory", &copied),
        ("open, memory to memory", &opened),
    ];
    println!("{PLAINTEXT_BYTES} bytes in frames of {FRAME_BYTES}, medians of {ROUNDS} interleaved rounds\n");
    println!("{:<30} {:>10} {:>10} {:>8}", "", "1 thread", format!("{cores} threads"), "ratio");
    let mut times = vec![[Vec::new(), Vec::new()]; works.len()];
    for _ in 0..ROUNDS {
        for (work, times) in works.iter().zip(&mut times) {
            for (threads, times) in [1, cores].into_iter().zip(times) {
                pin(threads)?;
                let start = Instant::now();
                (work.1)()?;
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let mut rates = Vec::new();
    for ((name, _), times) in works.iter().zip(&mut times) {
        let [one, two] = times.each_mut().map(|times| PLAINTEXT_BYTES as f64 / median(times) / 1e9);
        println!("{name:<30} {one:>5.2} GB/s {two:>5.2} GB/s {:>7.2}x", two / one);
        rates.push(one);
    }
    if let [bare, frames, bare_copied, copied, opened] = rates.as_slice() {
        println!("\nof aws-lc-rs on one thread: frames alone {:.0} %, ", 100.0 * frames / bare);
        println!(
            "memory to memory {:.0} % sealing and {:.0} % opening",
            100.0 * copied / bare_copied,
            100.0 * opened / bare_copied
        );
    }
    Ok(())
}

/// Lets this thread and those that it starts run on so many cores.
fn pin(cores: usize) -> Done {
    let mut set = CpuSet::new();
    (0..cores).for_each(|core| set.set(core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Frames sealed by `aws-lc-rs` alone, a part of them by each of as many threads as there are cores to use; with a source,
/// each is copied in and out.
fn bare(source: Option<&[u8]>) -> Done {
    let threads = thread::available_parallelism()?.get().min(2);
    let frames = PLAINTEXT_BYTES / FRAME_BYTES;
    let part = |thread: usize| frames * thread / threads..frames * (thread + 1) / threads;
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || bare_part(source, part(thread)).map_err(|why| why.to_string())))
            .collect();
        bare_part(source, part(0))?;
        others.into_iter().try_for_each(|other| Ok(other.join().map_err(|_| "a thread failed")??))
    })
}

fn bare_part(source: Option<&[u8]>, frames: Range<usize>) -> Done {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).map_err(|_| "a key has 32 bytes")?);
    let mut buffer = vec![0; FRAME_BYTES];
    for frame in frames {
        if let Some(source) = source {
            buffer.copy_from_slice(source.get(frame * FRAME_BYTES..(frame + 1) * FRAME_BYTES).unwrap_or(&[]));
        }
        let mut iv = [0; 12];
        iv.split_at_mut(8).1.copy_from_slice(&u32::try_from(frame)?.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from([0; 60]), &mut buffer);
        let _tag = std::hint::black_box(tag.map_err(|_| "a frame is short")?);
        if source.is_some() {
            Copied.write_all_at(&buffer, 0)?;
        }
    }
    Ok(())
}

/// Takes a message into memory.
struct Collected<'bytes>(std::sync::Mutex<&'bytes mut Vec<u8>>);

impl WriteAt for Collected<'_> {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut place = self.0.lock().map_err(|_| io::Error::other("another thread failed"))?;
        let place = place.get_mut(start..start + bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
