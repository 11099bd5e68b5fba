//! Who signed a request.
//!
//! An access key that nobody has is answered as slowly as a wrong signature: the request is verified against a secret
//! that nobody knows, with a signing key that is kept like any other.

use std::{collections::HashMap, io, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    api::sigv4::{self, Presented, Scope, Settings, SignatureError, SigningKeys},
    crypto::random::{Random, RandomError, SystemRandom},
    iam::AccessKeyId,
    keystore::Keystore,
    kms::{CallError, Clock},
    model::{AccountId, PrincipalArn, Region, Timestamp},
    secret::SecretBytes,
};

/// Who may call.
pub enum Authentication {
    /// Whoever signs with an access key: one of these, or one of the keystore's users.
    SigV4(ServerKeys),
    /// Anybody, as the root user of the account whose 12 digits stand in the place of the access key id, else of this
    /// account. For those who come from an emulator that does not authenticate.
    None(AccountId),
}

/// Access keys that live as long as the server, for callers who have none of their own: the administrator of a keystore
/// in memory, or whoever `keystead exec --as` names.
#[derive(Default)]
pub struct ServerKeys(HashMap<String, (PrincipalArn, SecretBytes)>);

/// An access key that was just made.
pub struct ServerKey {
    /// Its id.
    pub access_key_id: String,
    /// Its secret, as text.
    pub secret_access_key: SecretBytes,
}

impl ServerKeys {
    /// Makes an access key for a principal.
    ///
    /// # Errors
    ///
    /// When there is no randomness.
    pub fn make(&mut self, principal: PrincipalArn) -> Result<ServerKey, RandomError> {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let random: &mut dyn Random = &mut SystemRandom;
        let letters: [u8; 16] = random.array()?;
        let letters = letters.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        let access_key_id: String = "AKIA".chars().chain(letters.map(|letter| char::from(*letter))).collect();
        let mut bytes = Zeroizing::new([0; 30]);
        random.fill(&mut *bytes)?;
        let text = Zeroizing::new(STANDARD_NO_PAD.encode(*bytes));
        let secret = || SecretBytes::from(text.as_bytes());
        self.0.insert(access_key_id.clone(), (principal, secret()));
        Ok(ServerKey { access_key_id, secret_access_key: secret() })
    }
}

/// A service that a request can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    /// As the scope of a signature names it.
    pub(super) name: &'static str,
    /// Whether a signature for any Region is taken: there is one of it for all Regions.
    pub(super) is_global: bool,
}

/// A caller whose signature was verified.
pub(super) struct Known {
    pub(super) principal: PrincipalArn,
    /// The access key, when the keystore has it.
    pub(super) access_key_id: Option<AccessKeyId>,
}

/// Verifies signatures.
pub(super) struct Gatekeeper {
    authentication: Authentication,
    clock: Arc<dyn Clock>,
    keys: SigningKeys,
    /// The secret of nobody.
    nobody: SecretBytes,
}

/// The access key id of nobody: no client can send it, for it is no word.
const NOBODY: &str = ".";

impl Gatekeeper {
    pub(super) fn new(authentication: Authentication, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let random: &mut dyn Random = &mut SystemRandom;
        let nobody: [u8; 30] = random.array().map_err(io::Error::other)?;
        let nobody = SecretBytes::from(nobody.as_slice());
        Ok(Self { authentication, clock, keys: SigningKeys::default(), nobody })
    }

    /// What time it really is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Forgets every signing key.
    pub(super) fn forget(&self) {
        self.keys.clear();
    }

    /// Whether requests need no signature.
    pub(super) fn admits_anybody(&self) -> bool {
        matches!(self.authentication, Authentication::None(_))
    }

    /// Finds who sent a request.
    pub(super) fn caller(
        &self,
        keystore: &Keystore,
        service: Service,
        region: &Region,
        request: &sigv4::Request<'_>,
    ) -> Result<Known, SignatureError> {
        match &self.authentication {
            Authentication::SigV4(keys) => self.signer(keystore, keys, service, region, request),
            Authentication::None(account) => {
                let named = claimed_account(request).unwrap_or_else(|| account.clone());
                Ok(Known { principal: PrincipalArn::root(&named), access_key_id: None })
            }
        }
    }

    fn signer(
        &self,
        keystore: &Keystore,
        server_keys: &ServerKeys,
        service: Service,
        region: &Region,
        request: &sigv4::Request<'_>,
    ) -> Result<Known, SignatureError> {
        let settings = Settings::default();
        let presented = Presented::read(request, settings)?;
        check_scope(presented.scope(), service, region)?;
        presented.check_time(self.clock.now())?;
        let id = presented.access_key_id();
        let holder = Holder::find(keystore, server_keys, id, presented.session_token())?;
        // An id that nobody has is verified with the secret of nobody.
        let name = if matches!(holder, Holder::Nobody) { NOBODY } else { id };
        let key = self.keys.get(name, presented.scope(), || match &holder {
            Holder::OfServer(_, secret) => Ok(SecretBytes::from(secret.expose_secret())),
            Holder::OfKeystore(_, id) => keystore.secret_access_key(id).map_err(unknown),
            Holder::Nobody => Ok(SecretBytes::from(self.nobody.expose_secret())),
        })?;
        let verified = sigv4::verify(&presented, request, settings, &key);
        match holder {
            Holder::OfServer(principal, _) => verified.map(|()| Known { principal, access_key_id: None }),
            Holder::OfKeystore(principal, id) => {
                verified.map(|()| Known { principal, access_key_id: Some(id) })
            }
            Holder::Nobody => Err(SignatureError::UnknownKey),
        }
    }
}

/// Who holds an access key.
enum Holder<'k> {
    /// Somebody whom the server has given it.
    OfServer(PrincipalArn, &'k SecretBytes),
    /// Somebody of the keystore: a user with an active one, or whoever holds a session.
    OfKeystore(PrincipalArn, AccessKeyId),
    /// Nobody.
    Nobody,
}

impl<'k> Holder<'k> {
    fn find(
        keystore: &Keystore,
        server_keys: &'k ServerKeys,
        id: &str,
        token: Option<&str>,
    ) -> Result<Self, SignatureError> {
        if let Some((principal, secret)) = server_keys.0.get(id) {
            // A key that lasts has no session.
            let by_server = Self::OfServer(principal.clone(), secret);
            return Ok(if token.is_none() { by_server } else { Self::Nobody });
        }
        let Ok(id) = id.parse::<AccessKeyId>() else { return Ok(Self::Nobody) };
        let signer = keystore.signer(&id, token).map_err(unknown)?;
        Ok(signer.map_or(Self::Nobody, |principal| Self::OfKeystore(principal, id)))
    }
}

/// A keystore that has failed knows nobody.
fn unknown(error: CallError) -> SignatureError {
    tracing::error!(error = error.explanation(), "access keys cannot be looked up");
    SignatureError::UnknownKey
}

fn check_scope(scope: &Scope, service: Service, region: &Region) -> Result<(), SignatureError> {
    if scope.service() != service.name {
        return Err(SignatureError::OutOfScope(format!(
            "Credential should be scoped to correct service: '{}'.",
            service.name
        )));
    }
    if !service.is_global && scope.region() != region.as_str() {
        return Err(SignatureError::OutOfScope(format!(
            "Credential should be scoped to a valid region, not '{}'.",
            scope.region()
        )));
    }
    Ok(())
}

/// The account that an unverified request names by its access key id.
fn claimed_account(request: &sigv4::Request<'_>) -> Option<AccountId> {
    let credential = |text: &str| {
        let (_, rest) = text.split_once("Credential=")?;
        rest.get(..12).filter(|_| rest.as_bytes().get(12) == Some(&b'/'))?.parse().ok()
    };
    let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let from_header = header.and_then(|(_, value)| credential(str::from_utf8(value).ok()?));
    from_header.or_else(|| credential(&request.query.replace("%2F", "/").replace("%2f", "/")))
}
