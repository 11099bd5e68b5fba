//! Keeps web pages out: a browser on this machine can be made to send requests here, and a name to point here.
//!
//! - A browser says where a request comes from in `Origin`, `Sec-Fetch-Site` or `Referer`; AWS's clients send none of them.
//! - A page that is reached by a name that was made to point to this machine (DNS rebinding) sends that name as `Host`. An
//!   address cannot be rebound, so addresses, `localhost` and names that the owner has listed are the only ones taken.
//! - No answer carries CORS headers.

use std::net::IpAddr;

use http::{HeaderMap, header};

/// The names by which clients may reach the server, beside addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These names.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn admits(&self, host: &str) -> bool {
        let name = without_port(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if bare.parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = name.to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
    }
}

/// Why a request is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A browser sent it, for a page.
    Browser,
    /// It was sent to a name that is not this server's.
    Host,
}

impl Refusal {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Browser => "keystead does not answer web pages.",
            Self::Host => {
                "keystead is not known by this name; start it with --allow-host NAME if it is to be reached by it."
            }
        }
    }
}

/// Refuses what a browser sent for a page, and what was sent to somebody else's name.
pub(super) fn check(headers: &HeaderMap, hosts: &Hosts) -> Result<(), Refusal> {
    let from_a_page = headers.contains_key(header::ORIGIN)
        || headers.contains_key(header::REFERER)
        || headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
    if from_a_page {
        return Err(Refusal::Browser);
    }
    let mut names = headers.get_all(header::HOST).iter();
    match (names.next().and_then(|name| name.to_str().ok()), names.next()) {
        (Some(name), None) if hosts.admits(name) => Ok(()),
        _ => Err(Refusal::Host),
    }
}

/// Whether this is one of the content types that a page may send to another origin without asking first.
pub(super) fn is_of_a_page(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    ["text/plain", "multipart/form-data"].iter().any(|of_a_page| kind.eq_ignore_ascii_case(of_a_page))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => {
            // `::1` is an address and no name with a port.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn addresses_and_names_of_this_machine_are_taken_and_others_not() {
        let hosts = Hosts::new(["KMS.test".to_owned()]);
        for host in [
            "127.0.0.1:4599",
            "127.0.0.1",
            "[::1]:80",
            "::1",
            "localhost:1",
            "LocalHost",
            "a.localhost",
            "kms.test:4",
        ] {
            assert_eq!(check(&headers(&[("host", host)]), &hosts), Ok(()), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "127.0.0.1.example.com:80", "kms.test.evil", ""]
        {
            assert_eq!(check(&headers(&[("host", host)]), &hosts), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(&headers(&[]), &hosts), Err(Refusal::Host));
        let twice = headers(&[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(check(&twice, &hosts), Err(Refusal::Host));
    }

    #[test]
    fn what_a_page_sends_is_refused() {
        let from = |name, value| check(&headers(&[("host", "localhost"), (name, value)]), &Hosts::default());
        assert_eq!(from("origin", "http://localhost:4599"), Err(Refusal::Browser));
        assert_eq!(from("origin", "null"), Err(Refusal::Browser));
        assert_eq!(from("sec-fetch-site", "cross-site"), Err(Refusal::Browser));
        assert_eq!(from("referer", "http://elsewhere.test/page"), Err(Refusal::Browser));
        // Somebody who types the address of `/_keystead/health`.
        assert_eq!(from("sec-fetch-site", "none"), Ok(()));
        assert!(is_of_a_page("text/plain;charset=UTF-8") && is_of_a_page("Multipart/Form-Data; boundary=x"));
        assert!(!is_of_a_page("application/x-amz-json-1.1"));
    }
}
