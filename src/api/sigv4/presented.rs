//! What a request says of its own signature: in the `Authorization` header, or in its query (a presigned request).

use std::borrow::Cow;

use super::{
    ALGORITHM, EXPIRES_SECONDS_MAX, Request, SKEW_MILLIS_MAX, Settings, SignatureError, basic_format,
    canonical::{decoded, query_pairs},
};
use crate::model::Timestamp;

/// The longest list of signed headers that is read, in bytes.
const SIGNED_HEADERS_BYTES_MAX: usize = 4096;
/// The longest access key id (IAM's `accessKeyIdType`).
const ACCESS_KEY_ID_BYTES_MAX: usize = 128;
/// What every scope ends in.
pub(super) const TERMINATOR: &str = "aws4_request";
/// Headers whose name begins so must be signed.
const SIGNED_PREFIX: &str = "x-amz-";

/// What a signing key is good for: `DATE/REGION/SERVICE/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(String);

impl Scope {
    /// The scope of these parts, of which none holds a slash.
    #[must_use]
    pub fn new(date: &str, region: &str, service: &str) -> Self {
        Self([date, region, service, TERMINATOR].join("/"))
    }

    /// The scope as it is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// `YYYYMMDD`.
    #[must_use]
    pub fn date(&self) -> &str {
        self.part(0)
    }

    /// Such as `us-east-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(1)
    }

    /// Such as `kms`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.part(2)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }
}

/// Which form the signature has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Header,
    Query,
}

/// What a request says of its signature. Nothing of it has been verified but its shape.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    pub(super) form: Form,
    access_key_id: String,
    scope: Scope,
    /// Names in lower case and sorted, with semicolons between them.
    pub(super) signed_header_list: Cow<'a, str>,
    signature: [u8; 32],
    time: Timestamp,
    /// The date as the signature covers it.
    pub(super) date_text: String,
    expires_seconds: Option<u32>,
    session_token: Option<Cow<'a, str>>,
}

impl<'a> Presented<'a> {
    /// Reads what a request says of its signature.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Missing`] when it says nothing, [`SignatureError::Incomplete`] when it does not say all.
    pub fn read(request: &Request<'a>, settings: Settings) -> Result<Self, SignatureError> {
        let header = request.single_header("authorization")?;
        let in_query = query_pairs(request.query).any(|(name, _)| decoded(name) == "X-Amz-Algorithm");
        let presented = match (header, in_query) {
            (None, false) => return Err(SignatureError::Missing),
            (Some(_), true) => {
                return Err(SignatureError::incomplete("Only one auth mechanism allowed: header or query."));
            }
            (Some(header), false) => Self::from_header(request, header)?,
            (None, true) => Self::from_query(request)?,
        };
        presented.check_signed_headers(request, settings)?;
        Ok(presented)
    }

    fn from_header(request: &Request<'a>, header: &'a str) -> Result<Self, SignatureError> {
        let (algorithm, rest) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
        check_algorithm(algorithm)?;
        let mut parameters = Parameters::default();
        for parameter in rest.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()) {
            let Some((name, value)) = parameter.split_once('=') else {
                return Err(SignatureError::incomplete(
                    "A parameter of the Authorization header is not a valid key=value pair (missing equal-sign).",
                ));
            };
            parameters.set(name, value.into())?;
        }
        let date = match request.single_header("x-amz-date")? {
            Some(date) => Some(date),
            None => request.single_header("date")?,
        };
        let lacking = parameters.lacking(date.is_none());
        if !lacking.is_empty() {
            return Err(SignatureError::incomplete(lacking));
        }
        let token = request.single_header("x-amz-security-token")?;
        let mut presented = parameters.finish(Form::Header, date.unwrap_or_default())?;
        presented.session_token = token.map(Into::into);
        Ok(presented)
    }

    fn from_query(request: &Request<'a>) -> Result<Self, SignatureError> {
        let mut parameters = Parameters::default();
        let (mut date, mut expires, mut token) = (None, None, None);
        let once = |slot: &mut Option<Cow<'a, str>>, value| match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(SignatureError::incomplete("A parameter of the signature stands there twice.")),
        };
        for (name, value) in query_pairs(request.query) {
            let value = decoded(value);
            match &*decoded(name) {
                "X-Amz-Algorithm" => check_algorithm(&value)?,
                "X-Amz-Credential" => parameters.set("Credential", value)?,
                "X-Amz-SignedHeaders" => parameters.set("SignedHeaders", value)?,
                "X-Amz-Signature" => parameters.set("Signature", value)?,
                "X-Amz-Date" => once(&mut date, value)?,
                "X-Amz-Expires" => once(&mut expires, value)?,
                "X-Amz-Security-Token" => once(&mut token, value)?,
                _ => {}
            }
        }
        let lacking = parameters.lacking(date.is_none());
        if !lacking.is_empty() {
            return Err(SignatureError::incomplete(
                lacking.replace("Authorization header", "AWS query-string"),
            ));
        }
        let seconds = expires.as_deref().map_or(Some(EXPIRES_SECONDS_MAX), |text| text.parse().ok());
        let seconds =
            seconds.filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds)).ok_or_else(|| {
                SignatureError::incomplete(format!(
                    "X-Amz-Expires must be a number from 1 to {EXPIRES_SECONDS_MAX}."
                ))
            })?;
        let mut presented = parameters.finish(Form::Query, &date.unwrap_or_default())?;
        presented.expires_seconds = Some(if expires.is_some() { seconds } else { skew_seconds() });
        presented.session_token = token;
        Ok(presented)
    }

    /// INVARIANT: what decides what a request does and to whom — host and `x-amz-*` — is never outside the signature.
    fn check_signed_headers(&self, request: &Request<'_>, settings: Settings) -> Result<(), SignatureError> {
        let signed = |name: &str| self.signed_headers().any(|signed| signed.eq_ignore_ascii_case(name));
        if !signed("host") {
            return Err(SignatureError::incomplete(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
            ));
        }
        for (name, _) in request.headers {
            let is_amazons = name
                .get(..SIGNED_PREFIX.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(SIGNED_PREFIX));
            let added_after =
                !settings.sign_session_token && name.eq_ignore_ascii_case("x-amz-security-token");
            if is_amazons && !signed(name) && !added_after {
                return Err(SignatureError::incomplete(format!(
                    "There were headers present in the request which were not signed: {}",
                    name.to_ascii_lowercase()
                )));
            }
        }
        Ok(())
    }

    /// Checks date and scope.
    ///
    /// # Errors
    ///
    /// [`SignatureError::OutOfScope`] or [`SignatureError::RequestExpired`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let day = self.date_text.get(..8).unwrap_or_default();
        if self.scope.date() != day {
            return Err(SignatureError::OutOfScope(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', \
                 from '{}'.",
                self.scope.date(),
                self.date_text
            )));
        }
        let date = &self.date_text;
        if self.time > now.plus_millis(SKEW_MILLIS_MAX) {
            let latest = basic_format(now.plus_millis(SKEW_MILLIS_MAX));
            return Err(SignatureError::OutOfScope(format!(
                "Signature not yet current: {date} is still later than {latest} ({} + 15 min.)",
                basic_format(now)
            )));
        }
        // S3 alone lets a presigned request last for days; all that is served here takes none after a quarter of an hour,
        // whatever it says (https://github.com/aws/aws-sdk-go/issues/2167).
        let lasts_millis = |seconds: u32| (i64::from(seconds) * 1000).min(SKEW_MILLIS_MAX);
        match self.expires_seconds {
            Some(seconds) if self.time.plus_millis(lasts_millis(seconds)) < now => {
                Err(SignatureError::RequestExpired)
            }
            None if self.time < now.plus_millis(-SKEW_MILLIS_MAX) => {
                let earliest = basic_format(now.plus_millis(-SKEW_MILLIS_MAX));
                Err(SignatureError::OutOfScope(format!(
                    "Signature expired: {date} is now earlier than {earliest} ({} - 15 min.)",
                    basic_format(now)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The access key that it names.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What its signing key is good for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session token that came with it.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// The names of the headers that it covers, sorted.
    pub(super) fn signed_headers(&self) -> impl Iterator<Item = &str> {
        self.signed_header_list.split(';')
    }

    pub(super) fn signature(&self) -> &[u8; 32] {
        &self.signature
    }
}

fn skew_seconds() -> u32 {
    u32::try_from(SKEW_MILLIS_MAX / 1000).unwrap_or(u32::MAX)
}

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(SignatureError::incomplete(format!("Unsupported AWS 'algorithm': the only one is '{ALGORITHM}'.")))
}

/// The three parameters that both forms have.
#[derive(Default)]
struct Parameters<'a> {
    credential: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn set(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), SignatureError> {
        let slot = match name {
            "Credential" => &mut self.credential,
            "SignedHeaders" => &mut self.signed_headers,
            "Signature" => &mut self.signature,
            _ => return Err(SignatureError::incomplete("The signature has a parameter that is not known.")),
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(SignatureError::incomplete(format!("The parameter '{name}' stands there twice."))),
        }
    }

    /// AWS's sentences about all that is not there.
    fn lacking(&self, no_date: bool) -> String {
        let lacks = [
            (self.credential.is_none(), "Authorization header requires 'Credential' parameter."),
            (self.signature.is_none(), "Authorization header requires 'Signature' parameter."),
            (self.signed_headers.is_none(), "Authorization header requires 'SignedHeaders' parameter."),
            (no_date, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."),
        ];
        let lacks = lacks.iter().filter(|(lacking, _)| *lacking).map(|(_, sentence)| *sentence);
        lacks.collect::<Vec<_>>().join(" ")
    }

    fn finish(self, form: Form, date: &str) -> Result<Presented<'a>, SignatureError> {
        let (access_key_id, scope) = read_credential(&self.credential.unwrap_or_default())?;
        let signed_header_list = read_signed_headers(self.signed_headers.unwrap_or_default())?;
        let mut signature = [0; 32];
        let text = self.signature.unwrap_or_default();
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if !lower || hex::decode_to_slice(&*text, &mut signature).is_err() {
            // What cannot be a signature is not this request's.
            return Err(SignatureError::Mismatch);
        }
        let (time, date_text) = read_date(date)?;
        Ok(Presented {
            form,
            access_key_id,
            scope,
            signed_header_list,
            signature,
            time,
            date_text,
            expires_seconds: None,
            session_token: None,
        })
    }
}

fn read_credential(text: &str) -> Result<(String, Scope), SignatureError> {
    let malformed = || {
        SignatureError::incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        )
    };
    let mut parts = text.split('/');
    let (Some(id), Some(date), Some(region), Some(service), Some(term), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if id.len() > ACCESS_KEY_ID_BYTES_MAX || ![id, region, service].into_iter().all(is_word) {
        return Err(malformed());
    }
    if term != TERMINATOR {
        return Err(SignatureError::OutOfScope(
            "Credential should be scoped with a valid terminator: 'aws4_request'.".into(),
        ));
    }
    Ok((id.to_owned(), Scope::new(date, region, service)))
}

fn read_signed_headers(text: Cow<'_, str>) -> Result<Cow<'_, str>, SignatureError> {
    let well_formed = text.len() <= SIGNED_HEADERS_BYTES_MAX
        && text
            .split(';')
            .all(|name| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()))
        && text.split(';').is_sorted_by(|one, other| one < other);
    if well_formed {
        Ok(text)
    } else {
        Err(SignatureError::incomplete("SignedHeaders must be names in lower case, sorted, each once."))
    }
}

/// A date in the basic format, or as the HTTP header `Date` writes it.
fn read_date(text: &str) -> Result<(Timestamp, String), SignatureError> {
    let malformed = || {
        SignatureError::incomplete(
            "Date must be in ISO-8601 'basic format': YYYYMMDD'T'HHMMSS'Z'. See RFC 7231 for the header 'Date'.",
        )
    };
    let digits = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !digits {
        let time = jiff::fmt::rfc2822::parse(text).map_err(|_| malformed())?;
        let time = Timestamp::from_millis(time.timestamp().as_millisecond());
        return Ok((time, basic_format(time)));
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse().ok();
    // No part is longer than two digits but the year.
    let part = |at: usize| number(at..at + 2).and_then(|part: i16| i8::try_from(part).ok());
    // A leap second is taken for the one before, as everywhere where time is counted in days of 86,400 seconds.
    let civil = number(0..4)
        .zip(part(4))
        .zip(part(6))
        .zip(part(9))
        .zip(part(11))
        .zip(part(13).map(|second| if second == 60 { 59 } else { second }));
    let civil = civil.and_then(|(((((year, month), day), hour), minute), second)| {
        jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
    });
    let time =
        civil.and_then(|civil| jiff::tz::Offset::UTC.to_timestamp(civil).ok()).ok_or_else(malformed)?;
    Ok((Timestamp::from_millis(time.as_millisecond()), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_that_are_none_are_refused_and_a_leap_second_is_the_one_before() {
        let read = |text: &str| read_date(text).map(|(time, _)| time);
        assert_eq!(read("20161231T235960Z"), read("20161231T235959Z"));
        assert!(read("20160229T000000Z").is_ok());
        for bad in [
            "20150229T000000Z",
            "20160101T240000Z",
            "20160101T006000Z",
            "20160101T000061Z",
            "20161301T000000Z",
        ] {
            assert!(matches!(read(bad), Err(SignatureError::Incomplete(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_date_that_is_written_is_read_as_it_was(seconds in 0_i64..253_402_300_799) {
            let time = Timestamp::from_millis(seconds * 1000);
            prop_assert_eq!(read_date(&basic_format(time)), Ok((time, basic_format(time))));
        }
    }
}
