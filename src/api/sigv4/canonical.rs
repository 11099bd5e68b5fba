//! The canonical request and the string to sign, as the process publishes them.

use std::borrow::Cow;

use data_encoding::HEXLOWER;

use super::{
    ALGORITHM, Request, Settings,
    presented::{Form, Presented},
};
use crate::crypto::digest::sha256;

/// The parameters of a query that the signature itself does not cover.
const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";
const TOKEN_PARAMETER: &str = "X-Amz-Security-Token";

/// The canonical request.
pub(super) fn request(presented: &Presented<'_>, request: &Request<'_>, settings: Settings) -> String {
    let mut text = String::with_capacity(1024);
    text.push_str(request.method);
    text.push('\n');
    path(&mut text, request.path, settings.normalize_path);
    text.push('\n');
    let in_query = presented.form == Form::Query;
    query(&mut text, request.query, |name| {
        in_query && (name == SIGNATURE_PARAMETER || (!settings.sign_session_token && name == TOKEN_PARAMETER))
    });
    text.push('\n');
    for name in presented.signed_headers() {
        text.push_str(name);
        text.push(':');
        for (number, value) in request.header(name).enumerate() {
            if number > 0 {
                text.push(',');
            }
            header_value(&mut text, value);
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&presented.signed_header_list);
    text.push('\n');
    HEXLOWER.encode_append(&request.body_sha256, &mut text);
    text
}

/// The string to sign.
pub(super) fn string_to_sign(presented: &Presented<'_>, canonical: &str) -> String {
    let mut text = [ALGORITHM, &presented.date_text, presented.scope().text(), ""].join("\n");
    HEXLOWER.encode_append(&sha256(&[canonical.as_bytes()]), &mut text);
    text
}

/// The path, encoded once more than it came, its dots and double slashes resolved.
fn path(text: &mut String, path: &str, normalize: bool) {
    if !normalize {
        encode(text, if path.is_empty() { "/" } else { path }, true);
        return;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        text.push('/');
        encode(text, segment, false);
    }
    let is_folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if segments.is_empty() || is_folder {
        text.push('/');
    }
}

/// Names and values of a query as they came.
pub(super) fn query_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn query(text: &mut String, query: &str, is_left_out: impl Fn(&str) -> bool) {
    let mut pairs: Vec<(String, String)> = query_pairs(query)
        .map(|(name, value)| (decoded_bytes(name), decoded_bytes(value)))
        .filter(|(name, _)| !str::from_utf8(name).is_ok_and(&is_left_out))
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    for (number, (name, value)) in pairs.iter().enumerate() {
        if number > 0 {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
}

/// A header's value without white space around it, and with one space for several.
fn header_value(text: &mut String, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    let words =
        value.split(|character: char| character.is_ascii_whitespace()).filter(|word| !word.is_empty());
    for (number, word) in words.enumerate() {
        if number > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

/// Text with `%XX` decoded. What is not UTF-8 then, and so is no parameter that anybody here knows, stays as it came.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    String::from_utf8(decoded_bytes(text)).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn decoded_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = (*first == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let byte = pair.and_then(|(digits, rest)| Some((hex_byte(*digits)?, rest)));
        (rest, _) = match byte {
            Some((byte, rest)) => (rest, bytes.push(byte)),
            None => (after, bytes.push(*first)),
        };
    }
    bytes
}

fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some(byte[0])
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    encode_bytes(&mut text, bytes, false);
    text
}

fn encode(text: &mut String, part: &str, keep_slashes: bool) {
    encode_bytes(text, part.as_bytes(), keep_slashes);
}

/// The process's `UriEncode`: all but the unreserved characters of RFC 3986, with digits in upper case.
fn encode_bytes(text: &mut String, bytes: &[u8], keep_slashes: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte))
            }
            b'/' if keep_slashes => text.push('/'),
            byte => text.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
pub(super) fn encode_for_tests(text: &mut String, value: &str) {
    encode_bytes(text, value.as_bytes(), false);
}
