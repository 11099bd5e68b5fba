//! OpenID Connect providers: Create, Get, List, Delete, and the client ids that their tokens may be for.

use serde_json::{Value, json};

use super::{
    access::{self, Asked, Target},
    answer::{NewProvider, ProviderArn, ProviderDetail, some_tags},
    value::TagList,
};
use crate::{
    iam::{CLIENT_IDS_MAX, ClientId, Jwks, OidcProviderArn, OidcUrl, OpenIdConnectProvider},
    kms::{Call, CallError, Outcome},
    model::{ErrorCode, Tags},
    policy::{Action, Authorized},
    services::query::operations,
    world::{Change, IdentityChange},
};

operations! {
    /// Makes an OpenID Connect provider whose tokens the account believes.
    CreateOpenIdConnectProvider "CreateOpenIDConnectProvider" writes -> NewProvider as "" {
        /// The provider's address, as its tokens name it: `https://HOST/PATH`.
        url "Url": OidcUrl,
        /// The client ids that tokens may be for.
        client_id_list "ClientIDList": Option<Vec<ClientId>>,
        /// Thumbprints of the provider's certificates; nothing is fetched, so none is checked.
        thumbprint_list "ThumbprintList": Option<Vec<String>>,
        /// The provider's public keys, a JSON Web Key Set. AWS fetches it from the address; here it is handed in.
        custom_jwks "CustomJwks": Option<Jwks>,
        /// Its tags.
        tags "Tags": Option<TagList>,
    }

    /// Describes an OpenID Connect provider.
    GetOpenIdConnectProvider "GetOpenIDConnectProvider" reads -> ProviderDetail as "" {
        /// The provider's ARN.
        open_id_connect_provider_arn "OpenIDConnectProviderArn": OidcProviderArn,
    }

    /// Lists the OpenID Connect providers of the account.
    ListOpenIdConnectProviders "ListOpenIDConnectProviders" reads
        -> Vec<ProviderArn> as "OpenIDConnectProviderList" {}

    /// Deletes an OpenID Connect provider: its tokens are believed no more.
    DeleteOpenIdConnectProvider "DeleteOpenIDConnectProvider" writes -> () as "" {
        /// The provider's ARN.
        open_id_connect_provider_arn "OpenIDConnectProviderArn": OidcProviderArn,
    }

    /// Adds a client id that a provider's tokens may be for.
    AddClientIdToOpenIdConnectProvider "AddClientIDToOpenIDConnectProvider" writes -> () as "" {
        /// The provider's ARN.
        open_id_connect_provider_arn "OpenIDConnectProviderArn": OidcProviderArn,
        /// The client id.
        client_id "ClientID": ClientId,
    }

    /// Removes a client id that a provider's tokens may be for.
    RemoveClientIdFromOpenIdConnectProvider "RemoveClientIDFromOpenIDConnectProvider" writes -> () as "" {
        /// The provider's ARN.
        open_id_connect_provider_arn "OpenIDConnectProviderArn": OidcProviderArn,
        /// The client id.
        client_id "ClientID": ClientId,
    }
}

impl CreateOpenIdConnectProvider {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let arn = OidcProviderArn::new(call.account(), self.url.clone());
        let tags: Tags = self.tags.clone().unwrap_or_default().into();
        let asked = Asked { request_tags: Some(&tags), ..Asked::default() };
        let permitted = access::permit(call, &target(&arn, None), asked)?;
        if call.world().identities().provider(&arn).is_some() {
            let message = format!("Provider with url {} already exists.", self.url);
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        let client_ids: std::collections::BTreeSet<_> =
            self.client_id_list.iter().flatten().cloned().collect();
        if client_ids.len() > CLIENT_IDS_MAX {
            return Err(access::over_quota("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS_MAX));
        }
        let answer = NewProvider { open_id_connect_provider_arn: arn.clone(), tags: some_tags(&tags) };
        let elements = json!({"openIDConnectProviderArn": arn});
        let provider = OpenIdConnectProvider {
            arn,
            client_ids,
            jwks: self.custom_jwks.clone(),
            created: call.now(),
            tags,
        };
        let change = Change::Identity(IdentityChange::PutProvider(Box::new(provider)));
        Ok(Outcome::answer(permitted, answer).changing(vec![change], elements))
    }
}

impl GetOpenIdConnectProvider {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, provider) = find(call, &self.open_id_connect_provider_arn)?;
        Ok(Outcome::answer(permitted, ProviderDetail::of(&provider)))
    }
}

impl ListOpenIdConnectProviders {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self>()?;
        let account = call.account();
        let providers = call.world().identities().providers();
        let own = providers.filter(|provider| *provider.arn.account() == account);
        let listed = own.map(|provider| ProviderArn { arn: provider.arn.clone() }).collect();
        Ok(Outcome::answer(permitted, listed))
    }
}

impl DeleteOpenIdConnectProvider {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, provider) = find(call, &self.open_id_connect_provider_arn)?;
        let change = Change::Identity(IdentityChange::DeleteProvider(provider.arn));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl AddClientIdToOpenIdConnectProvider {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, mut provider) = find(call, &self.open_id_connect_provider_arn)?;
        provider.client_ids.insert(self.client_id.clone());
        if provider.client_ids.len() > CLIENT_IDS_MAX {
            return Err(access::over_quota("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS_MAX));
        }
        let change = Change::Identity(IdentityChange::PutProvider(Box::new(provider)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

impl RemoveClientIdFromOpenIdConnectProvider {
    fn act(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let (permitted, mut provider) = find(call, &self.open_id_connect_provider_arn)?;
        // As at AWS: to remove what is not there succeeds.
        provider.client_ids.remove(&self.client_id);
        let change = Change::Identity(IdentityChange::PutProvider(Box::new(provider)));
        Ok(Outcome::answer(permitted, ()).changing(vec![change], Value::Null))
    }
}

fn target<'a>(arn: &OidcProviderArn, tags: Option<&'a Tags>) -> Target<'a> {
    Target { arn: arn.to_string(), kind: "AWS::IAM::OIDCProvider", tags }
}

fn find<A: Action>(
    call: &mut Call<'_>,
    arn: &OidcProviderArn,
) -> Result<(Authorized<A>, OpenIdConnectProvider), CallError> {
    let found = call.world().identities().provider(arn).cloned();
    let found = found.filter(|provider| *provider.arn.account() == call.account());
    let tags = found.as_ref().map(|provider| &provider.tags);
    let permitted = access::permit(call, &target(arn, tags), Asked::default())?;
    match found {
        Some(provider) => Ok((permitted, OpenIdConnectProvider::clone(&provider))),
        None => {
            let message = format!("OpenIDConnect Provider not found for arn {arn}");
            Err(CallError::new(ErrorCode::NoSuchEntity, message))
        }
    }
}
