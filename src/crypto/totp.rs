//! Time-based one-time passwords (RFC 6238) over HMAC-SHA-1 (RFC 4226), as virtual MFA devices show them: six digits.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::stack::wiped;
use crate::secret::SecretBytes;

/// How many digits a code has (RFC 4226, section 5.3).
const DIGITS: usize = 6;
/// The shortest seed in bytes (RFC 4226, section 4, R6: 128 bits).
pub const SEED_BYTES_MIN: usize = 16;
/// The longest seed in bytes that is taken from outside: a block of HMAC-SHA-1, beyond which a key is hashed.
pub const SEED_BYTES_MAX: usize = 64;

/// Whether `code` is the one that a device with this seed shows in this time step.
#[must_use]
pub fn is_code(seed: &SecretBytes, step: i64, code: &str) -> bool {
    u64::try_from(step).is_ok_and(|step| shown(seed, step).as_bytes().ct_eq(code.as_bytes()).into())
}

/// What a device with this seed shows in this time step: six digits.
#[must_use]
pub fn shown(seed: &SecretBytes, step: u64) -> String {
    format!("{:0width$}", hotp(seed, step) % 1_000_000, width = DIGITS)
}

/// A seed as devices are told it: in base32, with or without padding. `None` when it is not one, or too short or long.
#[must_use]
pub fn seed_from_base32(text: &SecretBytes) -> Option<SecretBytes> {
    let digits = text.expose_secret();
    let end = digits.iter().rposition(|digit| *digit != b'=').map_or(0, |last| last + 1);
    let seed = SecretBytes::new(data_encoding::BASE32_NOPAD.decode(digits.get(..end)?).ok()?);
    (SEED_BYTES_MIN..=SEED_BYTES_MAX).contains(&seed.len()).then_some(seed)
}

/// The truncated value of RFC 4226, section 5.3, before it is cut to digits.
fn hotp(seed: &SecretBytes, counter: u64) -> u32 {
    wiped(|| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed.expose_secret());
        let tag = hmac::sign(&key, &counter.to_be_bytes());
        let offset = tag.as_ref().last().map_or(0, |last| usize::from(last & 0x0f));
        let four = tag.as_ref().get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied();
        u32::from_be_bytes(four.unwrap_or_default()) & 0x7fff_ffff
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> SecretBytes {
        b"12345678901234567890".as_slice().into()
    }

    /// RFC 4226, appendix D.
    #[test]
    fn the_vectors_of_hotp_hold() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (step, code) in codes.iter().enumerate() {
            let step = i64::try_from(step).unwrap();
            assert!(is_code(&seed(), step, code), "{step}");
            assert!(!is_code(&seed(), step + 1, code), "{step}");
        }
    }

    /// RFC 6238, appendix B, SHA-1: eight digits, of which a device shows the last six.
    #[test]
    fn the_vectors_of_totp_hold() {
        for (seconds, code) in [
            (59_i64, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = seconds / 30;
            assert_eq!(hotp(&seed(), u64::try_from(step).unwrap()) % 100_000_000, code, "{seconds}");
            assert!(is_code(&seed(), step, &format!("{:06}", code % 1_000_000)), "{seconds}");
        }
    }

    #[test]
    fn a_seed_is_read_as_devices_are_told_it() {
        let read = |text: &str| seed_from_base32(&text.as_bytes().into());
        // RFC 6238's seed.
        let told = read("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        assert!(told.ct_eq(&seed()));
        assert!(read("GEZDGNBVGY3TQOJQGEZDGNBVGY======").is_some(), "16 bytes with padding");
        for bad in [
            "",
            "GEZDGNBVGY3TQOJQ",
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "0EZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            &"A".repeat(112),
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(step: i64, code in "\\PC{0,12}|[0-9]{5,7}") {
            let right = is_code(&seed(), step, &code);
            proptest::prop_assert!(!right || (code.len() == DIGITS && step >= 0));
        }
    }
}
