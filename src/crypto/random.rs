//! Randomness, handed in like the clock so that every operation can be repeated in a test.

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

    /// `N` random bytes that are a secret: a key.
    ///
    /// # Errors
    ///
    /// When the source fails.
    pub fn secret<const N: usize>(&mut self) -> Result<SecretArray<N>, RandomError> {
        SecretArray::try_from_fill(|bytes| self.fill(bytes))
    }
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        SysRng.try_fill_bytes(bytes).map_err(|_| RandomError)
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
}
