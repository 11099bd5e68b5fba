//! What an eavesdropper can tell from the bytes that passed by: TLS records and the open parts of a handshake by their
//! names, a text found or not, entropy, hexadecimal lines.
//!
//! Source: RFC 8446 (TLS 1.3), sections 4 and 5; RFC 6066 (the server's name); IANA's TLS registries for the numbers.

use std::fmt::Write;

/// A TLS record as it passed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSeen {
    /// Where it begins in the stream.
    pub at: usize,
    /// Its length with its header.
    pub bytes: usize,
    /// What it is, as far as it can be told from outside.
    pub name: String,
    /// What stands in it for everybody to read.
    pub facts: Vec<(&'static str, String)>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// Where `needle` is found first.
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Shannon's entropy of the bytes, in bits a byte: 8 is noise, English text has about 4.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "what is kept of a conversation fits 53 bits")]
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / all);
    shares.map(|share| -share * share.log2()).sum::<f64>().max(0.0)
}

/// Lines of 16 bytes: where they stand, in hexadecimal, and as text. 75 columns.
#[must_use]
pub fn hexadecimal(bytes: &[u8], at: usize) -> Vec<String> {
    let line = |(number, part): (usize, &[u8])| {
        let mut line = format!("{:06x}  ", at + number * 16);
        for place in 0..16 {
            let gap = if place == 8 { " " } else { "" };
            // Writing to a `String` does not fail.
            let _always = match part.get(place) {
                Some(byte) => write!(line, "{gap}{byte:02x} "),
                None => write!(line, "{gap}   "),
            };
        }
        line.push(' ');
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        line.extend(part.iter().map(shown));
        line
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

/// The TLS records in a stream; none when it is not TLS. A record that is cut off is left out.
#[must_use]
pub fn records(stream: &[u8]) -> Vec<RecordSeen> {
    let (mut seen, mut reader) = (Vec::new(), Reader(stream));
    loop {
        let at = stream.len() - reader.0.len();
        let Some((kind, payload)) = record(&mut reader) else { return seen };
        let (name, facts) = described(kind, payload);
        let is_encrypted = kind == 23 || (kind == 21 && payload.len() != 2);
        seen.push(RecordSeen { at, bytes: payload.len() + 5, name, facts, is_encrypted });
    }
}

fn record<'s>(reader: &mut Reader<'s>) -> Option<(u8, &'s [u8])> {
    let kind = reader.byte().filter(|kind| (20..=23).contains(kind))?;
    reader.number(2).filter(|version| (0x0301..=0x0304).contains(version))?;
    Some((kind, reader.list(2)?))
}

type Facts = Vec<(&'static str, String)>;

fn described(kind: u8, payload: &[u8]) -> (String, Facts) {
    let fixed = |name: &str| (name.to_owned(), Vec::new());
    match (kind, payload) {
        (20, _) => fixed("ChangeCipherSpec (says nothing, for old middleboxes)"),
        (21, [_, code]) => (format!("alert {code}"), Vec::new()),
        (21, _) => fixed("alert, encrypted"),
        (22, _) => handshake(payload).unwrap_or_else(|| fixed("handshake, encrypted")),
        _ => fixed("encrypted"),
    }
}

fn handshake(payload: &[u8]) -> Option<(String, Facts)> {
    let mut reader = Reader(payload);
    let kind = reader.byte()?;
    let body = reader.list(3)?;
    Some(match kind {
        1 => ("ClientHello".into(), client_hello(body)?),
        2 => ("ServerHello".into(), server_hello(body)?),
        11 => ("Certificate".into(), Vec::new()),
        other => (format!("handshake message {other}"), Vec::new()),
    })
}

fn client_hello(body: &[u8]) -> Option<Facts> {
    let mut reader = Reader(body);
    let legacy_version = reader.number(2)?;
    reader.take(32)?;
    reader.list(1)?;
    let suites = numbers(reader.list(2)?);
    reader.list(1)?;
    let mut facts = vec![("cipher suites offered", names(&suites, cipher_suite))];
    let mut versions = vec![legacy_version];
    for (kind, content) in extensions(&mut reader) {
        let mut content = Reader(content);
        match kind {
            0 => {
                let mut entry = Reader(content.list(2)?);
                entry.byte()?;
                facts.push(("server's name", text(entry.list(2)?)));
            }
            10 => facts.push(("groups offered", names(&numbers(content.list(2)?), group))),
            16 => {
                let mut list = Reader(content.list(2)?);
                let protocols: Vec<String> = std::iter::from_fn(|| list.list(1)).map(text).collect();
                facts.push(("protocols offered", protocols.join(" ")));
            }
            41 => facts.push(("resumes", "an earlier session".into())),
            43 => versions = numbers(content.list(1)?),
            _ => {}
        }
    }
    facts.insert(0, ("versions offered", names(&versions, version)));
    Some(facts)
}

fn server_hello(body: &[u8]) -> Option<Facts> {
    let mut reader = Reader(body);
    let mut chosen = reader.number(2)?;
    reader.take(32)?;
    reader.list(1)?;
    let suite = reader.number(2)?;
    reader.byte()?;
    let (mut facts, mut resumed) = (Vec::new(), false);
    for (kind, content) in extensions(&mut reader) {
        let mut content = Reader(content);
        match kind {
            41 => resumed = true,
            43 => chosen = content.number(2)?,
            51 => facts.push(("group", named(content.number(2)?, group))),
            _ => {}
        }
    }
    facts.insert(0, ("version", named(chosen, version)));
    facts.insert(1, ("cipher suite", named(suite, cipher_suite)));
    if resumed {
        facts.push(("resumes", "an earlier session".into()));
    }
    Some(facts)
}

fn extensions<'s>(reader: &mut Reader<'s>) -> Vec<(u16, &'s [u8])> {
    let mut list = Reader(reader.list(2).unwrap_or_default());
    std::iter::from_fn(|| Some((list.number(2)?, list.list(2)?))).collect()
}

fn numbers(list: &[u8]) -> Vec<u16> {
    let mut reader = Reader(list);
    std::iter::from_fn(|| reader.number(2)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

/// The names of those that have one.
fn names(numbers: &[u16], name: fn(u16) -> Option<&'static str>) -> String {
    numbers.iter().filter_map(|number| name(*number)).collect::<Vec<_>>().join(" ")
}

fn named(number: u16, name: fn(u16) -> Option<&'static str>) -> String {
    name(number).map_or_else(|| format!("{number:#06x}"), str::to_owned)
}

fn version(number: u16) -> Option<&'static str> {
    match number {
        0x0301 => Some("TLS 1.0"),
        0x0302 => Some("TLS 1.1"),
        0x0303 => Some("TLS 1.2"),
        0x0304 => Some("TLS 1.3"),
        _ => None,
    }
}

fn cipher_suite(number: u16) -> Option<&'static str> {
    match number {
        0x1301 => Some("AES_128_GCM"),
        0x1302 => Some("AES_256_GCM"),
        0x1303 => Some("CHACHA20_POLY1305"),
        _ => None,
    }
}

fn group(number: u16) -> Option<&'static str> {
    match number {
        0x0017 => Some("P-256"),
        0x0018 => Some("P-384"),
        0x001d => Some("X25519"),
        0x11ec => Some("X25519MLKEM768"),
        _ => None,
    }
}

/// Reads from the front; nothing once what was asked for is not there.
struct Reader<'s>(&'s [u8]);

impl<'s> Reader<'s> {
    fn take(&mut self, length: usize) -> Option<&'s [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number of one or two bytes, the highest first.
    fn number(&mut self, bytes: usize) -> Option<u16> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
    }

    /// A list after its length, which has this many bytes.
    fn list(&mut self, length_bytes: usize) -> Option<&'s [u8]> {
        let length =
            self.take(length_bytes)?.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::hello::client_hello_of_tls_11, *};

    #[test]
    fn noise_has_eight_bits_a_byte_and_one_letter_none() {
        let all: Vec<u8> = (0..=255).collect();
        assert!((entropy(&all) - 8.0).abs() < 1e-9 && entropy(b"aaaa").abs() < 1e-9);
        assert!(entropy(&[]).abs() < 1e-9 && (entropy(b"abab") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_there_is_found() {
        assert_eq!(find(b"the canary sings", b"canary"), Some(4));
        assert_eq!((find(b"silence", b"canary"), find(b"x", b"")), (None, None));
    }

    #[test]
    fn lines_show_place_bytes_and_text() {
        let lines = hexadecimal(b"0123456789abcdef\n!", 32);
        assert_eq!(lines[0], "000020  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef");
        assert_eq!(lines[1].trim_end(), format!("000030  0a 21 {:43} .!", ""));
        assert!(lines.iter().all(|line| line.chars().count() <= 75));
    }

    #[test]
    fn an_old_hello_is_read() {
        let seen = records(&client_hello_of_tls_11("localhost"));
        assert_eq!((seen.len(), seen[0].name.as_str()), (1, "ClientHello"));
        assert!(seen[0].facts.contains(&("versions offered", "TLS 1.1".into())), "{:?}", seen[0].facts);
        assert!(seen[0].facts.contains(&("server's name", "localhost".into())));
        assert!(records(b"GET / HTTP/1.1").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 20_u8..24) {
            let _seen = records(&bytes);
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let record = [&[kind, 3, 3, length[0], length[1]][..], &bytes].concat();
            prop_assert_eq!(records(&record).len(), 1);
            for hello in [1, 2] {
                let whole = [&[hello, 0, length[0], length[1]][..], &bytes].concat();
                let length = u16::try_from(whole.len()).unwrap().to_be_bytes();
                prop_assert_eq!(records(&[&[22, 3, 1, length[0], length[1]][..], &whole].concat()).len(), 1);
            }
        }
    }
}
