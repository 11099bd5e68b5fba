//! Randomness, handed in like the clock so that every operation can be repeated in a test.

use std::cell::RefCell;

use rand::{TryRng, rngs::SysRng};
use thiserror::Error;

use crate::secret::SecretArray;

/// The operating system would not give random bytes.
#[derive(Debug, Error)]
#[error("the operating system's random number generator failed")]
pub struct RandomError;

/// A source of bytes that nobody can predict.
pub trait Random: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// When the source fails; the bytes must not be used then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError>;

    /// 16 bytes for an id: nobody can foretell them, and they are no secret.
    ///
    /// # Errors
    ///
    /// When the source fails.
    fn id(&mut self) -> Result<[u8; 16], RandomError> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Another source, independent of this one from now on, for a call that runs beside others.
    fn fork(&mut self) -> Box<dyn Random>;
}

impl dyn Random + '_ {
    /// `N` random bytes that are no secret: a salt, a nonce, an id.
    ///
    /// # Errors
    ///
    /// When the source fails.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A random UUID (RFC 9562, version 4), as text.
    ///
    /// # Errors
    ///
    /// When the source fails.
    pub fn uuid(&mut self) -> Result<String, RandomError> {
        Ok(uuid::Builder::from_random_bytes(self.id()?).into_uuid().to_string())
    }

    /// `N` random bytes that are a secret: a key.
    ///
    /// # Errors
    ///
    /// When the source fails.
    pub fn secret<const N: usize>(&mut self) -> Result<SecretArray<N>, RandomError> {
        SecretArray::try_from_fill(|bytes| self.fill(bytes))
    }
}

/// Ids that a thread has in reserve, so that not every one costs a call to the system. Two copies of a running machine
/// have the same ones, so keys, nonces and salts are never taken from here.
struct Reserve {
    ids: [[u8; 16]; 64],
    left: usize,
}

impl Reserve {
    fn take(&mut self) -> Result<[u8; 16], RandomError> {
        if self.left == 0 {
            SystemRandom.fill(self.ids.as_flattened_mut())?;
            self.left = self.ids.len();
        }
        self.left -= 1;
        self.ids.get(self.left).copied().ok_or(RandomError)
    }
}

thread_local! {
    static RESERVE: RefCell<Reserve> = const { RefCell::new(Reserve { ids: [[0; 16]; 64], left: 0 }) };
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        SysRng.try_fill_bytes(bytes).map_err(|_| RandomError)
    }

    fn id(&mut self) -> Result<[u8; 16], RandomError> {
        RESERVE.with_borrow_mut(Reserve::take)
    }

    fn fork(&mut self) -> Box<dyn Random> {
        Box::new(Self)
    }
}

/// A repeatable sequence for tests.
#[cfg(test)]
pub(crate) struct SeededRandom(rand::rngs::StdRng);

#[cfg(test)]
impl SeededRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self(rand::SeedableRng::seed_from_u64(seed))
    }
}

#[cfg(test)]
impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        rand::Rng::fill_bytes(&mut self.0, bytes);
        Ok(())
    }

    fn fork(&mut self) -> Box<dyn Random> {
        Box::new(Self(rand::SeedableRng::from_rng(&mut self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_gives_different_bytes_each_time() {
        let random: &mut dyn Random = &mut SystemRandom;
        assert_ne!(random.array::<32>().unwrap(), random.array::<32>().unwrap());
    }

    #[test]
    fn no_id_comes_twice() {
        let random: &mut dyn Random = &mut SystemRandom;
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| random.uuid().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
