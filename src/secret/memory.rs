//! Where a secret's bytes stand: on a page that is locked into memory and left out of core dumps.
//!
//! Swap and core dumps are copies of memory that outlive the process. A short secret gets a page of its own from a pool;
//! a page is locked (mlock(2)) and excluded from dumps (MADV_DONTDUMP, madvise(2)) once, when the pool first has it, and
//! after that handed from secret to secret, zeroized in between. So a secret costs no call to the system in the usual
//! case. Where the system does not permit that, and for what is longer than a page, secrets stand on the heap, zeroized
//! when dropped; the former is said once.
//!
//! INVARIANT: a page in the pool is all zeros.

use std::sync::{
    Mutex, MutexGuard, Once, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use memmap2::MmapMut;
use zeroize::Zeroize;

/// The length of a page: the smallest that the systems have for which this is built.
const PAGE_BYTES: usize = 4096;
/// Pages in all: 2 MiB, a quarter of what Linux lets a user lock by default (RLIMIT_MEMLOCK).
const PAGES_MAX: usize = 512;

/// Pages that no secret stands on.
static FREE: Mutex<Vec<MmapMut>> = Mutex::new(Vec::new());
/// Pages that were made, in use or free.
static MADE: AtomicUsize = AtomicUsize::new(0);
static SAID: Once = Once::new();

/// Bytes that are zeroized when they are dropped.
pub(super) struct Memory {
    place: Place,
    length: usize,
}

enum Place {
    Page(MmapMut),
    Heap(Vec<u8>),
}

impl Memory {
    /// Zeros.
    pub(super) fn zeroed(length: usize) -> Self {
        let page = if (1..=PAGE_BYTES).contains(&length) { page() } else { None };
        Self { place: page.map_or_else(|| Place::Heap(vec![0; length]), Place::Page), length }
    }

    /// These bytes, moved: where they came from is zeroized.
    pub(super) fn take(mut bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        let page = if (1..=PAGE_BYTES).contains(&length) { page() } else { None };
        let Some(page) = page else { return Self { place: Place::Heap(bytes), length } };
        let mut memory = Self { place: Place::Page(page), length };
        memory.as_mut().copy_from_slice(&bytes);
        bytes.zeroize();
        memory
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        let whole: &mut [u8] = match &mut self.place {
            Place::Page(page) => page,
            Place::Heap(bytes) => bytes,
        };
        whole.get_mut(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        let whole: &[u8] = match &self.place {
            Place::Page(page) => page,
            Place::Heap(bytes) => bytes,
        };
        whole.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.place, Place::Heap(Vec::new())) {
            Place::Page(mut page) => {
                page.get_mut(..self.length).unwrap_or_default().zeroize();
                free().push(page);
            }
            Place::Heap(mut bytes) => bytes.zeroize(),
        }
    }
}

fn free() -> MutexGuard<'static, Vec<MmapMut>> {
    // A panic while it is held leaves it whole.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page of zeros; none when there are enough, or the system gives none.
fn page() -> Option<MmapMut> {
    if let Some(page) = free().pop() {
        return Some(page);
    }
    if MADE.fetch_add(1, Ordering::Relaxed) >= PAGES_MAX {
        MADE.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    match MmapMut::map_anon(PAGE_BYTES) {
        Ok(page) => {
            if let Err(error) = protect(&page) {
                SAID.call_once(|| tracing::warn!(%error, "secrets may be written to swap or to a core dump"));
            }
            Some(page)
        }
        Err(_) => {
            MADE.fetch_sub(1, Ordering::Relaxed);
            None
        }
    }
}

fn protect(page: &MmapMut) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    page.advise(memmap2::Advice::DontDump)?;
    page.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_handed_on_without_what_stood_on_it() {
        for length in [1, 32, PAGE_BYTES] {
            let mut memory = Memory::zeroed(length);
            memory.as_mut().fill(0x5a);
            assert_eq!(memory.as_ref(), vec![0x5a; length]);
        }
        // Whichever pages others have taken meanwhile: none that comes holds anything.
        let taken: Vec<Memory> = (0..8).map(|_| Memory::zeroed(PAGE_BYTES)).collect();
        assert!(taken.iter().all(|memory| memory.as_ref().iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn more_secrets_than_pages_and_longer_ones_than_a_page_are_kept_too() {
        let many: Vec<Memory> = (0..PAGES_MAX + 9).map(|_| Memory::take(vec![7; 40])).collect();
        assert!(many.iter().all(|memory| memory.as_ref() == [7; 40]));
        let long = Memory::take(vec![9; PAGE_BYTES + 1]);
        assert_eq!((long.as_ref().len(), long.as_ref()[PAGE_BYTES]), (PAGE_BYTES + 1, 9));
        assert!(Memory::zeroed(0).as_ref().is_empty() && Memory::take(Vec::new()).as_ref().is_empty());
    }

    /// The kernel's own word: `lo` is locked, `dd` is left out of core dumps (proc(5), `VmFlags`).
    #[cfg(target_os = "linux")]
    #[test]
    fn a_secret_stands_where_neither_swap_nor_a_core_dump_has_it() {
        let memory = Memory::take(vec![3; 32]);
        let address = memory.as_ref().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut inside, mut flags) = (false, None);
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let number = |digits| usize::from_str_radix(digits, 16).ok();
            if let Some((Some(start), Some(end))) = range.map(|(start, end)| (number(start), number(end))) {
                inside = (start..end).contains(&address);
            }
            if inside && line.starts_with("VmFlags:") {
                flags = Some(line.to_owned());
            }
        }
        let flags = flags.unwrap();
        assert!(flags.contains(" lo") && flags.contains(" dd"), "{flags}");
    }
}
