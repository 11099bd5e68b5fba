//! Who makes a call, and by which way it came.

use crate::{
    audit::TlsDetails,
    iam::{AccessKeyId, Session},
    model::{AccountId, ParseError, PrincipalArn, VpcEndpointId},
    world::World,
};

/// A service that calls KMS on somebody's behalf, or holds keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// The simulated storage service.
    S3,
}

impl Service {
    /// The service of this short name, such as `s3`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::S3].into_iter().find(|service| service.name() == name)
    }

    /// The service's principal, such as `s3.amazonaws.com`.
    #[must_use]
    pub fn principal(self) -> &'static str {
        match self {
            Self::S3 => "s3.amazonaws.com",
        }
    }

    /// The service's name as people write it, such as `S3`.
    #[must_use]
    pub fn display_name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
        }
    }

    /// The service's short name, such as `s3`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
        }
    }
}

/// What a caller claims to be. The door looks it up before it believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user, a role's session or the root user of an account.
    Arn(PrincipalArn),
    /// A service on its own behalf.
    Service(Service),
    /// Somebody who comes with an identity provider's token alone, to a role of this account.
    WebIdentity(AccountId),
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    principal: Principal,
    access_key: Option<AccessKeyId>,
    via: Option<Service>,
    vpc_endpoint: Option<VpcEndpointId>,
    source_ip: String,
    user_agent: String,
    wire: Option<Wire>,
}

/// What is known of a call that came over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wire {
    request_id: String,
    tls: Option<TlsDetails>,
}

/// The name of the session in which a role acts when it is chosen directly, without AssumeRole.
pub const DIRECT_SESSION: &str = "keystead";

impl Caller {
    /// A caller on this machine.
    #[must_use]
    pub fn local(principal: PrincipalArn) -> Self {
        Self {
            principal: Principal::Arn(principal),
            access_key: None,
            via: None,
            vpc_endpoint: None,
            source_ip: "127.0.0.1".into(),
            user_agent: concat!("keystead/", env!("CARGO_PKG_VERSION")).into(),
            wire: None,
        }
    }

    /// A service on its own behalf, using a key that it owns.
    #[must_use]
    pub(crate) fn service(service: Service) -> Self {
        Self {
            principal: Principal::Service(service),
            access_key: None,
            via: None,
            vpc_endpoint: None,
            source_ip: service.principal().into(),
            user_agent: service.principal().into(),
            wire: None,
        }
    }

    /// A caller that came over the network: from this address, by this program, as this request.
    #[must_use]
    pub fn remote(
        principal: PrincipalArn,
        source_ip: impl Into<String>,
        user_agent: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        Self::local(principal).arriving(source_ip, user_agent, request_id)
    }

    /// The same caller, coming over the network: from this address, by this program, as this request.
    #[must_use]
    pub fn arriving(
        mut self,
        source_ip: impl Into<String>,
        user_agent: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        self.source_ip = source_ip.into();
        self.user_agent = user_agent.into();
        self.wire = Some(Wire { request_id: request_id.into(), tls: None });
        self
    }

    /// The same, when the connection was TLS.
    #[must_use]
    pub fn by_tls(mut self, details: TlsDetails) -> Self {
        if let Some(wire) = &mut self.wire {
            wire.tls = Some(details);
        }
        self
    }

    /// The holder of a session's credentials.
    #[must_use]
    pub fn in_session(session: &Session) -> Self {
        Self::local(session.principal.clone()).with_access_key(session.access_key.clone())
    }

    /// The holder of an access key: a user's, a root user's or a session's.
    #[must_use]
    pub fn of_access_key(world: &World, id: &AccessKeyId) -> Option<Self> {
        let identities = world.identities();
        if id.is_temporary() {
            return Some(Self::in_session(identities.session(id)?));
        }
        let key = identities.access_key(id)?;
        let arn = match &key.user {
            Some(name) => identities.user(&key.account, name)?.arn(),
            None => PrincipalArn::root(&key.account),
        };
        Some(Self::local(arn).with_access_key(id.clone()))
    }

    /// Somebody without AWS credentials, who comes with an identity provider's token to a role of `account`.
    #[must_use]
    pub fn web_identity(account: AccountId) -> Self {
        let principal = Principal::WebIdentity(account.clone());
        Self { principal, ..Self::local(PrincipalArn::root(&account)) }
    }

    /// The same caller, who came with this access key. The door checks that it is good, and that it is the caller's.
    #[must_use]
    pub fn with_access_key(mut self, id: AccessKeyId) -> Self {
        self.access_key = Some(id);
        self
    }

    /// The same caller, coming through a VPC endpoint. The door checks that it is there; its policy says what may pass.
    #[must_use]
    pub fn through_vpc_endpoint(mut self, id: VpcEndpointId) -> Self {
        self.vpc_endpoint = Some(id);
        self
    }

    /// The caller as a person names it: `user/alice`, `role/ops`, `root`, or an ARN, in `account` unless the ARN says
    /// otherwise. A role acts in a session named [`DIRECT_SESSION`].
    ///
    /// # Errors
    ///
    /// When the text names no principal.
    pub fn parse(text: &str, account: &AccountId) -> Result<Self, ParseError> {
        let arn = PrincipalArn::named(text, account)?;
        Ok(Self::local(match (arn.kind(), arn.role_name()) {
            (crate::model::PrincipalKind::Role, Some(role)) => {
                PrincipalArn::assumed_role(arn.account(), role, DIRECT_SESSION)
            }
            _ => arn,
        }))
    }

    /// The same caller, when `service` calls on its behalf (a forward access session).
    #[must_use]
    pub(crate) fn through(&self, service: Service) -> Self {
        Self {
            principal: self.principal.clone(),
            access_key: self.access_key.clone(),
            via: Some(service),
            // The service calls from where it is, not from its customer's network.
            vpc_endpoint: None,
            source_ip: service.principal().into(),
            user_agent: service.principal().into(),
            wire: None,
        }
    }

    /// The request's id, when it came over the network.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.wire.as_ref().map(|wire| wire.request_id.as_str())
    }

    /// Whether the connection was TLS.
    #[must_use]
    pub fn is_secure_transport(&self) -> bool {
        self.tls_details().is_some()
    }

    /// How the connection was protected, when it was TLS.
    #[must_use]
    pub fn tls_details(&self) -> Option<&TlsDetails> {
        self.wire.as_ref()?.tls.as_ref()
    }

    /// The same caller, from another address.
    #[must_use]
    pub fn from_address(mut self, address: std::net::IpAddr) -> Self {
        self.source_ip = address.to_string();
        self
    }

    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The caller's ARN, unless it is a service.
    #[must_use]
    pub fn arn(&self) -> Option<&PrincipalArn> {
        match &self.principal {
            Principal::Arn(arn) => Some(arn),
            Principal::Service(_) | Principal::WebIdentity(_) => None,
        }
    }

    /// The account the caller belongs to.
    #[must_use]
    pub fn account(&self) -> AccountId {
        match &self.principal {
            Principal::Arn(arn) => arn.account().clone(),
            Principal::Service(_) => AccountId::of_the_services(),
            Principal::WebIdentity(account) => account.clone(),
        }
    }

    /// The access key the caller came with, if it came with one.
    #[must_use]
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        self.access_key.as_ref()
    }

    /// The service that calls on the principal's behalf.
    #[must_use]
    pub fn via(&self) -> Option<Service> {
        self.via
    }

    /// The VPC endpoint that the call came through.
    #[must_use]
    pub fn vpc_endpoint(&self) -> Option<&VpcEndpointId> {
        self.vpc_endpoint.as_ref()
    }

    /// The address the call came from, or the calling service's name.
    #[must_use]
    pub fn source_ip(&self) -> &str {
        &self.source_ip
    }

    /// The program that called.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_named_as_people_do() {
        let account: AccountId = "111122223333".parse().unwrap();
        for (text, arn) in [
            ("user/alice", "arn:aws:iam::111122223333:user/alice"),
            ("root", "arn:aws:iam::111122223333:root"),
            ("role/ops", "arn:aws:sts::111122223333:assumed-role/ops/keystead"),
            ("arn:aws:iam::444455556666:user/pat", "arn:aws:iam::444455556666:user/pat"),
        ] {
            assert_eq!(Caller::parse(text, &account).unwrap().arn().unwrap().as_str(), arn);
        }
        for bad in ["", "alice", "group/g", "user/", "arn:aws:kms:us-east-1:111122223333:key/x"] {
            assert!(Caller::parse(bad, &account).is_err(), "{bad}");
        }
    }
}
