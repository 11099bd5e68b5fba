//! `keystead grant`

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    error::CommandError,
    global::Global,
    keyring::pair,
    output,
    table::{fitted, terminal_width},
};
use crate::{
    keystore::Keystore,
    kms::{
        Caller, CreateGrant, GrantListEntry, GrantPage, ListGrants, ListRetirableGrants, RetireGrant,
        RevokeGrant, WhichGrant,
    },
    model::{EncryptionContext, GrantId, GrantName, GrantToken, KeyRef, ParseError, PrincipalArn},
    policy::{GrantConstraint, GrantOperation},
};

/// Let somebody use a key without a word in any policy
#[derive(Debug, Subcommand)]
pub(super) enum Grant {
    Create(Create),
    List(List),
    Retire(Retire),
    Revoke(Revoke),
}

/// Give a principal the use of a key, until the grant is retired or revoked
///
/// Example: keystead grant create alias/models --grantee role/trainer --operations Decrypt DescribeKey
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The key: id, ARN, alias name or alias ARN
    #[arg(value_name = "KEY")]
    key: KeyRef,
    /// Who may use it: user/NAME, role/NAME or an ARN
    #[arg(long, alias = "grantee-principal", value_name = "WHO")]
    grantee: String,
    /// What for, such as Decrypt
    #[arg(long, value_name = "OPERATION", num_args = 1.., required = true, value_delimiter = ',', value_parser = operation)]
    operations: Vec<GrantOperation>,
    /// Who may retire the grant besides
    #[arg(long, alias = "retiring-principal", value_name = "WHO")]
    retiring: Option<String>,
    /// A name: asked for again with the same name, the same grant is answered
    #[arg(long, value_name = "NAME")]
    name: Option<GrantName>,
    /// Only with exactly these pairs in the encryption context; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, conflicts_with = "context_subset")]
    context_equals: Vec<(String, String)>,
    /// Only with these pairs in the encryption context, and any others; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    context_subset: Vec<(String, String)>,
}

/// List the grants on a key, or those that somebody may retire
///
/// Example: keystead grant list alias/models
///
/// A grant takes two lines: its id, and below it its name, who may use the key and for what.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The key: id, ARN, alias name or alias ARN
    #[arg(value_name = "KEY", required_unless_present = "retirable_by")]
    key: Option<KeyRef>,
    /// All grants that this principal may retire
    #[arg(long, value_name = "WHO", conflicts_with = "key")]
    retirable_by: Option<String>,
}

/// End a grant that you no longer need: as its grantee, its retiring principal or the account that made it
#[derive(Debug, Args)]
pub(super) struct Retire {
    /// The key: id or ARN
    #[arg(value_name = "KEY", required_unless_present = "token", requires = "grant")]
    key: Option<KeyRef>,
    /// The grant's id
    #[arg(value_name = "GRANT")]
    grant: Option<GrantId>,
    /// The grant's token, in place of the key and the id
    #[arg(long, value_name = "TOKEN", conflicts_with = "key")]
    token: Option<GrantToken>,
}

/// Take a grant back, as somebody who looks after the key
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The key: id, ARN, alias name or alias ARN
    #[arg(value_name = "KEY")]
    key: KeyRef,
    /// The grant's id
    #[arg(value_name = "GRANT")]
    grant: GrantId,
}

fn operation(text: &str) -> Result<GrantOperation, ParseError> {
    GrantOperation::from_wire(text).ok_or_else(|| {
        let names: Vec<&str> = GrantOperation::ALL.iter().map(|operation| operation.as_str()).collect();
        ParseError::new(format!("`{text}` is no operation that a grant can carry: {}", names.join(", ")))
    })
}

impl Grant {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        match self {
            Self::Create(command) => command.run(global, &keystore, &caller),
            Self::List(command) => command.run(global, &keystore, &caller),
            Self::Retire(command) => command.run(&keystore, &caller),
            Self::Revoke(Revoke { key, grant }) => {
                let operation = RevokeGrant { key_id: key.clone(), grant_id: grant.clone() };
                keystore.kms().revoke_grant(&caller, operation)?;
                output::say(&format!("the grant {grant} is revoked"));
                Ok(())
            }
        }
    }
}

impl Create {
    fn run(&self, global: &Global, keystore: &Keystore, caller: &Caller) -> Result<(), CommandError> {
        let retiring = self.retiring.as_deref().map(|who| principal(keystore, who)).transpose()?;
        let operation = CreateGrant {
            retiring_principal: retiring,
            constraint: self.constraint()?,
            name: self.name.clone(),
            ..CreateGrant::new(
                self.key.clone(),
                principal(keystore, &self.grantee)?,
                self.operations.iter().copied(),
            )
        };
        let created = keystore.kms().create_grant(caller, operation)?;
        if global.json {
            return output::json(&created);
        }
        output::facts(&[
            ("Grant", created.grant_id.to_string()),
            ("Token", created.grant_token.to_string()),
        ])?;
        Ok(())
    }

    fn constraint(&self) -> Result<Option<GrantConstraint>, CommandError> {
        let pairs = |pairs: &[(String, String)]| EncryptionContext::from_pairs(pairs.iter().cloned());
        Ok(match (self.context_equals.as_slice(), self.context_subset.as_slice()) {
            ([], []) => None,
            ([], subset) => Some(GrantConstraint::EncryptionContextSubset(pairs(subset)?)),
            (equals, _) => Some(GrantConstraint::EncryptionContextEquals(pairs(equals)?)),
        })
    }
}

impl List {
    fn run(&self, global: &Global, keystore: &Keystore, caller: &Caller) -> Result<(), CommandError> {
        let mut grants: Vec<GrantListEntry> = Vec::new();
        let mut marker = None;
        loop {
            let page = self.page(keystore, caller, marker)?;
            grants.extend(page.grants);
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        if global.json {
            return output::json(&json!({"Grants": grants}));
        }
        let account = keystore.settings()?.account;
        output::heading(&["GRANT", "  NAME, GRANTEE: OPERATIONS"])?;
        grants.iter().try_for_each(|grant| print(grant, account.as_str()))?;
        Ok(())
    }

    fn page(
        &self,
        keystore: &Keystore,
        caller: &Caller,
        marker: Option<String>,
    ) -> Result<GrantPage, CommandError> {
        let kms = keystore.kms();
        Ok(match (&self.key, &self.retirable_by) {
            (_, Some(who)) => {
                let first = ListRetirableGrants::new(principal(keystore, who)?);
                kms.list_retirable_grants(caller, ListRetirableGrants { marker, ..first })?
            }
            (Some(key), None) => {
                kms.list_grants(caller, ListGrants { marker, ..ListGrants::new(key.clone()) })?
            }
            (None, None) => return Err(CommandError::usage("name a key, or `--retirable-by WHO`")),
        })
    }
}

impl Retire {
    fn run(&self, keystore: &Keystore, caller: &Caller) -> Result<(), CommandError> {
        let grant = match (&self.token, &self.key, &self.grant) {
            (Some(token), ..) => WhichGrant::Token(token.clone()),
            (None, Some(key), Some(grant)) => WhichGrant::Id { key_id: key.clone(), grant_id: grant.clone() },
            _ => return Err(CommandError::usage("name a key and a grant, or `--token TOKEN`")),
        };
        keystore.kms().retire_grant(caller, RetireGrant { grant })?;
        output::say("the grant is retired");
        Ok(())
    }
}

/// Two lines: the id, which `revoke` wants whole, leaves no room beside it on a terminal.
fn print(grant: &GrantListEntry, account: &str) -> Result<(), CommandError> {
    output::line(&grant.grant_id.to_string())?;
    let operations: Vec<String> = grant.operations.iter().map(|one| one.to_string()).collect();
    // Somebody of this account goes by the name alone.
    let own = format!("arn:aws:iam::{account}:");
    let grantee = grant.grantee_principal.strip_prefix(&own).unwrap_or(&grant.grantee_principal);
    let name = if grant.name.is_empty() { String::new() } else { format!("{}, ", grant.name) };
    let words = format!("{name}{grantee}: {}", operations.join(", "));
    for line in fitted(&words, terminal_width().map(|width| width.saturating_sub(INDENT.len()))) {
        output::line(&format!("{INDENT}{line}"))?;
    }
    Ok(())
}

/// Before what belongs to the line above.
const INDENT: &str = "  ";

/// A principal as people name it.
fn principal(keystore: &Keystore, who: &str) -> Result<PrincipalArn, CommandError> {
    Ok(PrincipalArn::named(who, &keystore.settings()?.account)?)
}
