//! A virtual MFA device: a seed that a person's phone shares with the keystore, and the codes that come of it.
//!
//! Source: RFC 6238 (TOTP) with its defaults — HMAC-SHA-1, 30 seconds, six digits — and EnableMFADevice, ResyncMFADevice
//! (IAM API). The codes themselves are computed in [`crate::crypto`]; here is which of them count.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{IamPath, MfaDeviceName, UserName};
use crate::model::{AccountId, Arn, ParseError, Tags, Timestamp};

/// The most MFA devices of one user, and of a root user (IAM quotas).
pub const MFA_DEVICES_MAX: usize = 8;
/// How long one code lasts in seconds (RFC 6238, section 4.1).
pub const TIME_STEP_SECONDS: i64 = 30;
/// How many steps a code may be early or late: the device's clock and the person's fingers are slow (RFC 6238, section
/// 5.2, recommends one).
const STEPS_AROUND: i64 = 1;
/// How far a device's clock may have drifted when it is enabled or brought into step, in steps: an hour.
const DRIFT_STEPS_MAX: i64 = 120;

/// The serial number of a virtual MFA device: `arn:aws:iam::ACCOUNT:mfa/PATH/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MfaSerial {
    account: AccountId,
    path: IamPath,
    name: MfaDeviceName,
}

impl MfaSerial {
    /// The serial number of this device.
    #[must_use]
    pub fn new(account: AccountId, path: IamPath, name: MfaDeviceName) -> Self {
        Self { account, path, name }
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &MfaDeviceName {
        &self.name
    }
}

impl fmt::Display for MfaSerial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "arn:aws:iam::{}:mfa/{}", self.account, self.path.with(&self.name))
    }
}

impl FromStr for MfaSerial {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let not_one = || {
            ParseError::new(format!(
                "`{text}` is not the serial number of a virtual MFA device: `arn:aws:iam::ACCOUNT:mfa/NAME`"
            ))
        };
        let arn: Arn = text.parse().map_err(|_| not_one())?;
        let place = (arn.partition(), arn.service(), arn.region());
        let path_and_name = arn.resource().strip_prefix("mfa/").filter(|_| place == ("aws", "iam", ""));
        let (path, name) = IamPath::split(path_and_name.ok_or_else(not_one)?).map_err(|_| not_one())?;
        Ok(Self {
            account: arn.account().parse().map_err(|_| not_one())?,
            path,
            name: name.parse().map_err(|_| not_one())?,
        })
    }
}

impl TryFrom<String> for MfaSerial {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<MfaSerial> for String {
    fn from(serial: MfaSerial) -> Self {
        serial.to_string()
    }
}

/// Whose device it is, and which of its codes count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaAssignment {
    /// The user; none for the account's root user.
    pub user: Option<UserName>,
    /// When it was enabled.
    pub enabled: Timestamp,
    /// How many steps the device's clock is ahead of the keystore's.
    drift: i64,
    /// The step of the last code that was taken: neither it nor an earlier one counts again.
    last_step: i64,
}

/// A virtual MFA device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MfaDevice {
    /// Its serial number, which is its ARN.
    pub serial: MfaSerial,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// Whose it is, once it is enabled.
    pub assigned: Option<MfaAssignment>,
    /// Its seed, wrapped under a key that derives from the root key.
    #[serde(with = "hex::serde")]
    pub wrapped: Vec<u8>,
}

/// The time step of a moment (RFC 6238, section 4.2).
fn step(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(1000 * TIME_STEP_SECONDS)
}

impl MfaAssignment {
    /// A device that shows two consecutive codes becomes this user's. `is_code` says whether the first or second code
    /// (0 or 1) is the device's for a step. `None` when they are not consecutive codes of about now.
    #[must_use]
    pub fn by_two_codes(
        user: Option<UserName>,
        now: Timestamp,
        mut is_code: impl FnMut(usize, i64) -> bool,
    ) -> Option<Self> {
        let here = step(now);
        // From the nearest outwards, so that a chance match far away is not taken.
        let drifts = (0..=DRIFT_STEPS_MAX).flat_map(|away| [away, -away]);
        let drift = drifts.into_iter().find(|drift| {
            let first = here.saturating_add(*drift).saturating_sub(1);
            is_code(0, first) && is_code(1, first.saturating_add(1))
        })?;
        Some(Self { user, enabled: now, drift, last_step: here.saturating_add(drift) })
    }

    /// The steps of two codes in a row that enable a device whose clock goes right.
    #[must_use]
    pub fn enabling_steps(now: Timestamp) -> [i64; 2] {
        [step(now).saturating_sub(1), step(now)]
    }

    /// The step whose code the device's owner types next, if one of about now was not taken yet.
    #[must_use]
    pub fn next_step(&self, now: Timestamp) -> Option<i64> {
        let here = step(now).saturating_add(self.drift);
        [here, here.saturating_add(STEPS_AROUND)].into_iter().find(|step| *step > self.last_step)
    }

    /// The same device of the same user under another name.
    #[must_use]
    pub fn of_renamed(&self, name: UserName) -> Self {
        Self { user: Some(name), ..self.clone() }
    }

    /// Takes a code: whether it is one of about now that was not taken before. `is_code` says whether it is the device's
    /// for a step.
    pub fn take(&mut self, now: Timestamp, mut is_code: impl FnMut(i64) -> bool) -> bool {
        let here = step(now).saturating_add(self.drift);
        let near = here.saturating_sub(STEPS_AROUND)..=here.saturating_add(STEPS_AROUND);
        let taken = near.filter(|step| *step > self.last_step).find(|step| is_code(*step));
        self.last_step = taken.unwrap_or(self.last_step);
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device whose code for a step is the step itself.
    fn shows(codes: [i64; 2]) -> impl FnMut(usize, i64) -> bool {
        move |which, step| codes[which] == step
    }

    fn at(step: i64) -> Timestamp {
        Timestamp::from_millis(step * 30_000 + 7)
    }

    #[test]
    fn serial_numbers_parse_and_print_alike() {
        for text in ["arn:aws:iam::111122223333:mfa/alice", "arn:aws:iam::111122223333:mfa/team/alice"] {
            assert_eq!(text.parse::<MfaSerial>().unwrap().to_string(), text);
        }
        for bad in ["", "GAHT12345678", "arn:aws:iam::111122223333:mfa/", "arn:aws:iam::aws:mfa/a"] {
            assert!(bad.parse::<MfaSerial>().is_err(), "{bad}");
        }
    }

    #[test]
    fn two_consecutive_codes_enable_a_device_and_no_others_do() {
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([999, 1000])).is_some());
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([1000, 1000])).is_none());
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([1000, 999])).is_none());
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([998, 1000])).is_none());
        // A clock that is an hour ahead is taken along, one that is farther is not.
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([1119, 1120])).is_some());
        assert!(MfaAssignment::by_two_codes(None, at(1000), shows([1120, 1121])).is_none());
    }

    #[test]
    fn a_code_counts_once_and_for_a_minute_around() {
        let mut device = MfaAssignment::by_two_codes(None, at(1000), shows([999, 1000])).unwrap();
        let code = |code: i64| move |step: i64| step == code;
        assert!(!device.take(at(1000), code(1000)), "it enabled the device");
        assert!(device.take(at(1000), code(1001)), "one step early");
        assert!(!device.take(at(1001), code(1001)), "a second time");
        assert!(!device.take(at(1003), code(1005)) && !device.take(at(1005), code(1003)), "two steps away");
        assert!(device.take(at(1006), code(1005)), "one step late");
        // What is to be typed next is always taken.
        assert_eq!(device.next_step(at(1007)), Some(1007));
        assert!(device.take(at(1007), code(1007)));
        assert_eq!(device.next_step(at(1007)), Some(1008));
        assert!(device.take(at(1007), code(1008)));
        assert_eq!(device.next_step(at(1007)), None);
        // A device whose clock is ten steps ahead.
        let mut ahead = MfaAssignment::by_two_codes(None, at(1000), shows([1009, 1010])).unwrap();
        assert!(ahead.take(at(1005), code(1015)));
        assert!(!ahead.take(at(1006), code(1006)));
    }

    proptest::proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "(arn:aws:iam::111122223333:mfa/)?\\PC{0,40}") {
            if let Ok(serial) = text.parse::<MfaSerial>() { proptest::prop_assert_eq!(serial.to_string(), text); }
        }
    }
}
