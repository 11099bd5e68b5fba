//! JSON Web Tokens of identity providers, verified with the keys that the provider publishes.
//!
//! RFC 7519 (JWT) signed as RFC 7515 (JWS) has it, with the keys of a JSON Web Key Set (RFC 7517); the work is done by
//! `jsonwebtoken` on AWS-LC. Only public-key algorithms count: neither `none` nor a shared key ever verifies. What the
//! claims mean, and whether they are still good, is for the caller, who has the clock.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use serde_json::{Map, Value};

/// The longest token in bytes (STS API, `clientTokenType`).
pub const TOKEN_BYTES_MAX: usize = 20_000;

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no signed JSON Web Token.
    #[error("it is not a signed JSON Web Token")]
    Malformed,
    /// The key set cannot be read.
    #[error("the provider's key set cannot be read")]
    KeySet,
    /// No key of the provider's is the one it names.
    #[error("the provider has no key that it names")]
    UnknownKey,
    /// Its algorithm is none that a provider may sign with.
    #[error("its algorithm is not one of RS256, RS384, RS512, ES256 and ES384, or not its key's")]
    Algorithm,
    /// It says that whoever cannot do something must refuse it (RFC 7515, section 4.1.11), and there is nothing such here.
    #[error("it asks for extensions (`crit`) that are not known here")]
    Critical,
    /// The signature is not that of the provider's key.
    #[error("its signature is not that of the provider's key")]
    Signature,
}

/// The issuer that a token names, before anything of it is believed: to find the provider.
#[must_use]
pub fn unverified_issuer(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("iss")?.as_str()?.to_owned())
}

/// The claims of a token that one of these keys signed. `key_set` is a JSON Web Key Set.
///
/// # Errors
///
/// [`TokenError`] when the token is not to be believed.
pub fn verify(token: &str, key_set: &str) -> Result<Map<String, Value>, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let keys: JwkSet = serde_json::from_str(key_set).map_err(|_| TokenError::KeySet)?;
    let key = find_key(&keys, header.kid.as_deref())?;
    if !fits(key, header.alg) {
        return Err(TokenError::Algorithm);
    }
    let decoding = DecodingKey::from_jwk(key).map_err(|_| TokenError::KeySet)?;
    let mut signature_alone = Validation::new(header.alg);
    signature_alone.required_spec_claims = HashSet::new();
    signature_alone.validate_exp = false;
    signature_alone.validate_nbf = false;
    signature_alone.validate_aud = false;
    decode(token, &decoding, &signature_alone).map(|token| token.claims).map_err(|_| TokenError::Signature)
}

/// The key that the token names; a token that names none is for a set of one key.
fn find_key<'k>(keys: &'k JwkSet, id: Option<&str>) -> Result<&'k Jwk, TokenError> {
    let found = match (id, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.ok_or(TokenError::UnknownKey)
}

/// Whether a token of this algorithm may be signed with this key.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let for_signing =
        key.common.public_key_use.as_ref().is_none_or(|usage| matches!(usage, PublicKeyUse::Signature));
    let named = key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    let of_type = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
        _ => false,
    };
    for_signing && named && of_type
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3: a token signed with ES256, and its key.
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const KEY: &str = r##"{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""##;

    fn set(more: &str) -> String {
        format!(r#"{{"keys": [{KEY}{more}}}]}}"#)
    }

    #[test]
    fn the_published_token_verifies_with_its_key() {
        let claims = verify(TOKEN, &set("")).unwrap();
        assert_eq!(claims.get("iss").and_then(Value::as_str), Some("joe"));
        assert_eq!(unverified_issuer(TOKEN).as_deref(), Some("joe"));
        assert!(verify(TOKEN, &set(r#", "use": "sig", "alg": "ES256""#)).is_ok());
    }

    #[test]
    fn a_changed_token_and_another_key_do_not_verify() {
        for at in [25, 60, TOKEN.len() - 5] {
            let mut changed = TOKEN.to_owned().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(verify(&String::from_utf8(changed).unwrap(), &set("")).is_err(), "{at}");
        }
        let other = set("").replace("f83O", "g83O");
        assert!(verify(TOKEN, &other).is_err());
    }

    #[test]
    fn a_key_serves_only_for_what_it_is() {
        assert_eq!(verify(TOKEN, &set(r#", "use": "enc""#)), Err(TokenError::Algorithm));
        assert_eq!(verify(TOKEN, &set(r#", "alg": "ES384""#)), Err(TokenError::Algorithm));
        assert_eq!(verify(TOKEN, r#"{"keys": []}"#), Err(TokenError::UnknownKey));
        assert_eq!(verify(TOKEN, "{}"), Err(TokenError::KeySet));
        let two = format!(r#"{{"keys": [{KEY}}}, {KEY}, "kid": "2"}}]}}"#);
        assert_eq!(verify(TOKEN, &two), Err(TokenError::UnknownKey));
    }

    #[test]
    fn neither_no_signature_nor_a_shared_key_counts() {
        // {"alg":"none"} and {"alg":"HS256"} before the published claims.
        let payload = TOKEN.split('.').nth(1).unwrap();
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
            for signature in ["", "AAAA"] {
                let token = format!("{header}.{payload}.{signature}");
                assert!(verify(&token, &set("")).is_err());
                let shared = r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#;
                assert!(verify(&token, shared).is_err());
            }
        }
    }

    #[test]
    fn what_must_be_understood_is_not_passed_over() {
        // {"alg":"ES256","crit":["exp"]}
        let (_, rest) = TOKEN.split_once('.').unwrap();
        let token = format!("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiZXhwIl19.{rest}");
        assert_eq!(verify(&token, &set("")), Err(TokenError::Critical));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(token in "[A-Za-z0-9_.-]{0,80}|\\PC{0,60}", keys in "\\PC{0,80}") {
            let _no_panic = (verify(&token, &keys), verify(&token, &set("")), unverified_issuer(&token));
        }
    }
}
