//! A key from a passphrase: Argon2id (RFC 9106; the `argon2` crate).

use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;

use super::stack::wiped;
use crate::secret::{SecretBytes, SecretKey};

/// What it costs to try one passphrase. Stored beside the salt, so that it can be raised later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// RFC 9106's second recommended choice: 64 MiB, 3 passes, 4 lanes.
pub const RECOMMENDED_COST: PasswordCost = PasswordCost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

/// More memory than any cost that this program writes: a damaged file must not make us allocate more.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// The stored cost is outside of what Argon2id or this program admits.
#[derive(Debug, Error)]
#[error("the stored cost of the passphrase's key derivation is out of range")]
pub struct PasswordCostError;

/// The key of this passphrase.
///
/// # Errors
///
/// When the cost or the salt is out of range.
pub fn argon2id(
    passphrase: &SecretBytes,
    salt: &[u8],
    cost: PasswordCost,
) -> Result<SecretKey, PasswordCostError> {
    if cost.memory_kib > MEMORY_KIB_MAX || cost.passes > 16 || cost.lanes > 16 {
        return Err(PasswordCostError);
    }
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| PasswordCostError)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    SecretKey::try_from_fill(|bytes| {
        wiped(|| argon2.hash_password_into(passphrase.expose_secret(), salt, bytes))
            .map_err(|_| PasswordCostError)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's vector for Argon2id v1.3: t=2, m=64 MiB, p=1, "password", "somesalt".
    #[test]
    fn the_reference_vector_holds() {
        let cost = PasswordCost { memory_kib: 64 * 1024, passes: 2, lanes: 1 };
        let key = argon2id(&SecretBytes::from(&b"password"[..]), b"somesalt", cost).unwrap();
        assert_eq!(
            hex::encode(key.expose_secret()),
            "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
        );
    }

    #[test]
    fn a_cost_that_would_exhaust_memory_is_refused() {
        let cost = PasswordCost { memory_kib: u32::MAX, passes: 1, lanes: 1 };
        assert!(argon2id(&SecretBytes::from(&b"x"[..]), b"somesalt", cost).is_err());
    }
}
