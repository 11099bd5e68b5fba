//! The values that typed operators compare: numbers, dates, addresses, bytes.
//!
//! Source: "IAM JSON policy elements: Condition operators" (IAM user guide). Numbers are exact decimals, since a
//! limit that holds for 2^53 must hold for 2^53 + 1. Whatever does not parse is an error and not a default.

use std::net::IpAddr;

use base64::Engine as _;

/// Digits after the decimal point that are kept.
const DECIMALS: usize = 18;
const ONE: i128 = 1_000_000_000_000_000_000;

/// An exact decimal number: up to 20 digits before the point and 18 behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decimal(i128);

impl Decimal {
    /// Reads `12`, `-3`, `0.5`; no exponents.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > DECIMALS || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let fraction: i128 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
        let value = whole.checked_mul(ONE)?.checked_add(fraction)?;
        Some(Self(if negative { -value } else { value }))
    }
}

/// A date in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(i128);

impl Date {
    /// Reads ISO 8601 (`2026-11-22`, `2026-11-22T21:46Z`, `2026-11-22T21:46:05.1+01:00`) or seconds since 1970.
    ///
    /// A time of day needs its zone: without one it would depend on who reads it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(Decimal(seconds)) = Decimal::parse(text) {
            return Some(Self(seconds / (ONE / 1_000_000_000)));
        }
        if text.len() == "2026-11-22".len() {
            let midnight = format!("{text}T00:00:00Z");
            return midnight.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_nanosecond()));
        }
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_nanosecond()))
    }
}

/// A range of addresses, IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Reads `203.0.113.0/24`, `2001:db8::/32`; a bare address is a range of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                let plain = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
                (address, Some(plain.then(|| bits.parse::<u32>().ok()).flatten()?))
            }
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        // Addresses are compared as IPv4 when they are; so is a range of nothing else.
        match network.to_canonical() {
            IpAddr::V4(mapped) if network.is_ipv6() && (96..=128).contains(&bits) => {
                Some(Self { network: IpAddr::V4(mapped), bits: bits - 96 })
            }
            _ => (bits <= width).then_some(Self { network, bits }),
        }
    }

    /// Whether `address` lies in the range. IPv4 and IPv6 never mix, save that `::ffff:a.b.c.d` is `a.b.c.d`.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let same_prefix = |one: u128, other: u128, width: u32| {
            let shift = width - self.bits;
            one.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
        };
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same_prefix(network.to_bits().into(), address.to_bits().into(), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_prefix(network.to_bits(), address.to_bits(), 128)
            }
            _ => false,
        }
    }
}

/// Reads `true` and `false`, in any case.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Reads base64.
pub(super) fn parse_binary(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let number = |text| Decimal::parse(text).unwrap();
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert_eq!(number("1.50"), number("1.5"));
        assert!(number("-2") < number("-1.9"));
        for bad in ["", "-", "1.", ".5", "1e3", "0x1", "1 ", "１", "9".repeat(40).as_str()] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn dates_in_every_form_compare() {
        let date = |text| Date::parse(text).unwrap();
        assert_eq!(date("2026-11-22T21:46:05Z"), date("2026-11-22T22:46:05+01:00"));
        assert_eq!(date("1970-01-02"), date("86400"));
        assert_eq!(date("1970-01-01T00:01Z"), date("60"));
        assert!(date("2026-11-22T21:46:05.1Z") > date("2026-11-22T21:46:05Z"));
        for bad in ["", "yesterday", "2026-13-01", "2026-11-22T21:46:05", "2026-11-2", "22.11.2026"] {
            assert!(Date::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn addresses_lie_in_ranges() {
        let inside =
            |range: &str, address: &str| Cidr::parse(range).unwrap().contains(address.parse().unwrap());
        assert!(inside("203.0.113.0/24", "203.0.113.255"));
        assert!(!inside("203.0.113.0/24", "203.0.114.0"));
        assert!(inside("203.0.113.7", "203.0.113.7") && !inside("203.0.113.7", "203.0.113.8"));
        assert!(inside("0.0.0.0/0", "255.255.255.255") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::1") && !inside("2001:db8::/32", "2001:db9::"));
        assert!(inside("::/0", "2001:db8::1") && inside("203.0.113.0/24", "::ffff:203.0.113.9"));
        assert!(inside("::ffff:127.0.0.0/104", "127.0.0.1") && !inside("::ffff:127.0.0.0/104", "128.0.0.1"));
        assert!(inside("::ffff:127.0.0.1", "127.0.0.1") && !inside("::/0", "127.0.0.1"));
        for bad in ["", "203.0.113.0/33", "203.0.113/24", "::/129", "1.2.3.4/", "1.2.3.4/+1", "1.2.3.4/0024"]
        {
            assert!(Cidr::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn base64_is_exact() {
        assert_eq!(parse_binary("QmluYXJ5"), Some(b"Binary".to_vec()));
        assert!(parse_binary("QmluYXJ5=").is_none() && parse_binary("Qm luYXJ5").is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "[-+0-9.:/TZa-f]{0,40}") {
            let _ = (Decimal::parse(&text), Date::parse(&text), Cidr::parse(&text), parse_binary(&text));
        }
    }
}
