//! Every operation for every sort of caller, on keys of every tier, in every state: what comes of it.
//!
//! The cases are generated from the table of operations. What each must come to is told here a second time and another way:
//! by who the caller is and what AWS's tables say ("AWS KMS permissions", "Key states of AWS KMS keys", "AWS managed keys",
//! KMS developer guide), never by asking the table under test.

use crate::{
    kms::{door::Door, service_keys::ServiceKey, *},
    model::{
        AccountId, Days, EncryptionContext, ErrorCode, GrantId, KeyRef, KeyState, PrincipalArn, Tags, Tier,
    },
    policy::GrantOperation,
    services::s3::Encryption,
    testing::Lab,
};

/// Who calls. All but the last few belong to the key's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The account's root user; the key policy names the account.
    Root,
    /// A user whom the key policy names, without any identity policy.
    Direct,
    /// A user whose identity policy allows everything of KMS.
    Delegated,
    /// A role's session whose identity policy does.
    Session,
    /// A user whose identity policy does, within a boundary of `kms:Describe*`.
    Bounded,
    /// A user with nothing but a grant.
    Grantee,
    /// A user with nothing.
    Nobody,
    /// The user with an identity policy, through the simulated S3.
    ThroughS3,
    /// A user of an account that the key policy names, with an identity policy.
    Partner,
    /// The same without one.
    PartnersNobody,
    /// A user with an identity policy, of an account that the key policy does not name.
    Stranger,
}

const EVERYBODY: [Who; 11] = [
    Who::Root,
    Who::Direct,
    Who::Delegated,
    Who::Session,
    Who::Bounded,
    Who::Grantee,
    Who::Nobody,
    Who::ThroughS3,
    Who::Partner,
    Who::PartnersNobody,
    Who::Stranger,
];

impl Who {
    fn is_of_the_keys_account(self) -> bool {
        !matches!(self, Self::Partner | Self::PartnersNobody | Self::Stranger)
    }

    /// Whether identity policies, cut down by the boundary, allow the action; a root user needs none.
    fn by_identity(self, action: &str) -> bool {
        match self {
            Self::Root
            | Self::Delegated
            | Self::Session
            | Self::ThroughS3
            | Self::Partner
            | Self::Stranger => true,
            Self::Bounded => action.starts_with("kms:Describe"),
            Self::Direct | Self::Grantee | Self::Nobody | Self::PartnersNobody => false,
        }
    }
}

/// The operations that work across accounts ("AWS KMS permissions", column "Cross-account use").
const ACROSS: &[&str] = &[
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GetKeyRotationStatus",
    "ListGrants",
    "ReEncrypt",
    "RevokeGrant",
];
/// The operations whose permission is on no key.
const ON_NO_KEY: &[&str] = &["CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants"];
/// The operations that need a permission on the alias too, by identity policy.
const ON_ALIASES: &[&str] = &["CreateAlias", "DeleteAlias", "UpdateAlias"];
/// What the grantee's grant carries.
const GRANTED: &[GrantOperation] = &[
    GrantOperation::Decrypt,
    GrantOperation::DescribeKey,
    GrantOperation::ReEncryptFrom,
    GrantOperation::RetireGrant,
];
/// What the policy of an AWS managed key lets everybody in the account do by way of its service.
const MANAGED_THROUGH_SERVICE: &[&str] = &[
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncrypt",
];
/// Operations that a disabled key refuses.
const NOT_WHEN_DISABLED: &[&str] = &[
    "CreateGrant",
    "Decrypt",
    "DisableKeyRotation",
    "EnableKeyRotation",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncrypt",
    "RotateKeyOnDemand",
];
/// Operations that a key pending deletion refuses, beside those that a disabled one does.
const NOT_WHEN_PENDING: &[&str] = &[
    "CreateAlias",
    "DisableKey",
    "EnableKey",
    "ScheduleKeyDeletion",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateKeyDescription",
];

/// Whether the call is allowed, by who calls and what the tier is.
fn is_allowed(name: &str, who: Who, tier: Tier) -> bool {
    let action = format!("kms:{name}");
    if ON_NO_KEY.contains(&name) {
        return who.by_identity(&action);
    }
    if ON_ALIASES.contains(&name) && !(who.is_of_the_keys_account() && who.by_identity(&action)) {
        return false;
    }
    match tier {
        Tier::CustomerManaged => {}
        Tier::AwsManaged => {
            let looks = ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb));
            let by_service = who == Who::ThroughS3 && MANAGED_THROUGH_SERVICE.contains(&name);
            let directly = looks && who.is_of_the_keys_account() && who.by_identity(&action);
            return by_service || directly;
        }
        Tier::AwsOwned => return false,
    }
    // Retiring is for the grant to allow: the creating account's principals as far as their policies do, and the grantee.
    if name == "RetireGrant" {
        return who == Who::Grantee || (who.is_of_the_keys_account() && who.by_identity(&action));
    }
    match who {
        Who::Direct => true,
        // ReEncryptTo is not in the grant, so ReEncrypt is not in reach.
        Who::Grantee => ["Decrypt", "DescribeKey"].contains(&name),
        Who::Partner => ACROSS.contains(&name),
        Who::Nobody | Who::PartnersNobody | Who::Stranger => false,
        Who::Root | Who::Delegated | Who::Session | Who::Bounded | Who::ThroughS3 => who.by_identity(&action),
    }
}

/// What an allowed call comes to in a state of the key.
fn by_state(name: &str, state: KeyState) -> Option<ErrorCode> {
    match state {
        KeyState::Enabled | KeyState::Disabled if name == "CancelKeyDeletion" => {
            Some(ErrorCode::KmsInvalidState)
        }
        KeyState::Disabled if NOT_WHEN_DISABLED.contains(&name) => Some(ErrorCode::Disabled),
        KeyState::PendingDeletion
            if NOT_WHEN_DISABLED.contains(&name) || NOT_WHEN_PENDING.contains(&name) =>
        {
            Some(ErrorCode::KmsInvalidState)
        }
        _ => None,
    }
}

/// A keystore with a key of each tier and everybody who calls.
struct Stage {
    lab: Lab,
    grant: GrantId,
    ciphertext: Vec<u8>,
    key: KeyRef,
}

impl Stage {
    /// The customer managed key comes into this state.
    fn new(state: KeyState) -> Self {
        let lab = Lab::new().unwrap();
        let (kms, admin) = (lab.kms(), lab.admin());
        let [partner, stranger]: [AccountId; 2] =
            ["444455556666", "777788889999"].map(|id| id.parse().unwrap());
        for (account, name) in [(&partner, "partner"), (&stranger, "stranger")] {
            lab.keystore().organizations().create_account(&admin, account.clone(), name).unwrap();
        }
        for name in ["direct", "grantee", "nobody"] {
            lab.user(name, &[]).unwrap();
        }
        let all = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#;
        for name in ["delegated", "bounded"] {
            lab.user_with_policy(name, all).unwrap();
        }
        lab.role_with_policy("session", all).unwrap();
        bound(&lab);
        for (account, names) in [(&partner, &["pat", "nobody"][..]), (&stranger, &["stranger"][..])] {
            let (iam, root) = (lab.keystore().iam(), Caller::local(PrincipalArn::root(account)));
            for name in names {
                iam.create_user(&root, name.parse().unwrap(), Tags::new()).unwrap();
                if *name != "nobody" {
                    iam.put_user_policy(&root, name.parse().unwrap(), "all".parse().unwrap(), all).unwrap();
                }
            }
        }
        let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root",
                                  "arn:aws:iam::111122223333:user/direct"]}}]}"#;
        let key: KeyRef = kms.create_key(&admin, CreateKey::default().policy(policy)).unwrap().arn.into();
        let encrypt = Encrypt {
            key_id: key.clone(),
            plaintext: b"x".as_slice().into(),
            encryption_context: EncryptionContext::new(),
        };
        let ciphertext = kms.encrypt(&admin, encrypt).unwrap().ciphertext_blob;
        let alias = CreateAlias { alias_name: "alias/there".parse().unwrap(), target_key_id: key.clone() };
        kms.create_alias(&admin, alias).unwrap();
        let grantee = "arn:aws:iam::111122223333:user/grantee".parse().unwrap();
        let grant = CreateGrant::new(key.clone(), grantee, GRANTED.iter().copied());
        let grant = kms.call(&admin, &grant).unwrap().grant_id;
        // The service's own keys come with the first objects.
        lab.put(&admin, "models", "owned", Encryption::Aes256, b"1").unwrap();
        lab.put(&admin, "models", "managed", Encryption::AwsManagedKey, b"2").unwrap();
        match state {
            KeyState::Enabled => {}
            KeyState::Disabled => kms.disable_key(&admin, DisableKey { key_id: key.clone() }).unwrap(),
            KeyState::PendingDeletion => {
                let schedule = ScheduleKeyDeletion { key_id: key.clone(), pending_window: None };
                drop(kms.schedule_key_deletion(&admin, schedule).unwrap());
            }
        }
        Self { lab, grant, ciphertext, key }
    }

    fn key_of(&self, tier: Tier) -> KeyRef {
        let which = match tier {
            Tier::CustomerManaged => return self.key.clone(),
            Tier::AwsManaged => ServiceKey::Managed(Service::S3, self.lab.admin().account()),
            Tier::AwsOwned => ServiceKey::Owned(Service::S3),
        };
        which.find(&self.lab.keystore().world().unwrap()).unwrap().into()
    }

    fn caller(&self, who: Who) -> Caller {
        let named = |name: &str| self.lab.keystore().caller(name).unwrap();
        match who {
            Who::Root => named("root"),
            Who::Direct => named("user/direct"),
            Who::Delegated => named("user/delegated"),
            Who::Session => named("role/session"),
            Who::Bounded => named("user/bounded"),
            Who::Grantee => named("user/grantee"),
            Who::Nobody => named("user/nobody"),
            Who::ThroughS3 => named("user/delegated").through(Service::S3),
            Who::Partner => named("arn:aws:iam::444455556666:user/pat"),
            Who::PartnersNobody => named("arn:aws:iam::444455556666:user/nobody"),
            Who::Stranger => named("arn:aws:iam::777788889999:user/stranger"),
        }
    }

    /// What the operation of this name comes to, without its being done.
    fn outcome(&self, name: &str, who: Who, tier: Tier) -> Result<(), CallError> {
        let (door, caller, key_id) = (self.lab.kms().door(), self.caller(who), self.key_of(tier));
        let ask = Asked { door, caller: &caller };
        let (ciphertext_blob, encryption_context) = (self.ciphertext.clone(), EncryptionContext::new());
        let (there, new) = ("alias/there".parse().unwrap(), "alias/new".parse().unwrap());
        let length = DataKeyLength::Aes256;
        let (limit, marker) = (None, None);
        let plaintext: crate::secret::SecretBytes = b"x".as_slice().into();
        match name {
            "CancelKeyDeletion" => ask.of(&CancelKeyDeletion { key_id }),
            "CreateAlias" => ask.of(&CreateAlias { alias_name: new, target_key_id: key_id }),
            "CreateGrant" => {
                let grantee = "arn:aws:iam::111122223333:user/nobody".parse().unwrap();
                ask.of(&CreateGrant::new(key_id, grantee, [GrantOperation::Decrypt]))
            }
            "CreateKey" => {
                ask.of(&CreateKey { bypass_policy_lockout_safety_check: true, ..CreateKey::default() })
            }
            "Decrypt" => {
                let key_id = Some(key_id);
                ask.of(&Decrypt { ciphertext_blob, key_id, encryption_context })
            }
            "DeleteAlias" => ask.of(&DeleteAlias { alias_name: there }),
            "DescribeKey" => ask.of(&DescribeKey { key_id }),
            "DisableKey" => ask.of(&DisableKey { key_id }),
            "DisableKeyRotation" => ask.of(&DisableKeyRotation { key_id }),
            "EnableKey" => ask.of(&EnableKey { key_id }),
            "EnableKeyRotation" => ask.of(&EnableKeyRotation { key_id, rotation_period: None }),
            "Encrypt" => ask.of(&Encrypt { key_id, plaintext, encryption_context }),
            "GenerateDataKey" => ask.of(&GenerateDataKey { key_id, length, encryption_context }),
            "GenerateDataKeyWithoutPlaintext" => {
                ask.of(&GenerateDataKeyWithoutPlaintext { key_id, length, encryption_context })
            }
            "GenerateRandom" => ask.of(&GenerateRandom { number_of_bytes: 8 }),
            "GetKeyLastUsage" => ask.of(&GetKeyLastUsage { key_id }),
            "GetKeyPolicy" => ask.of(&GetKeyPolicy { key_id }),
            "GetKeyRotationStatus" => ask.of(&GetKeyRotationStatus { key_id }),
            "ListAliases" => ask.of(&ListAliases { key_id: None }),
            "ListGrants" => {
                ask.of(&ListGrants { key_id, grant_id: None, grantee_principal: None, limit, marker })
            }
            "ListKeyPolicies" => ask.of(&ListKeyPolicies { key_id }),
            "ListKeyRotations" => ask.of(&ListKeyRotations { key_id, include_all_key_material: false }),
            "ListKeys" => ask.of(&ListKeys::default()),
            "ListResourceTags" => ask.of(&ListResourceTags { key_id }),
            "ListRetirableGrants" => {
                let retiring_principal = PrincipalArn::root(&caller.account());
                ask.of(&ListRetirableGrants { retiring_principal, limit, marker })
            }
            "PutKeyPolicy" => ask.of(&PutKeyPolicy {
                key_id,
                policy: r#"{"Version": "2012-10-17", "Statement": []}"#.into(),
                bypass_policy_lockout_safety_check: true,
            }),
            "ReEncrypt" => ask.of(&ReEncrypt {
                ciphertext_blob,
                source_key_id: Some(self.key.clone()),
                source_encryption_context: encryption_context.clone(),
                destination_key_id: key_id,
                destination_encryption_context: encryption_context,
            }),
            "RetireGrant" => {
                let grant = WhichGrant::Id { key_id, grant_id: self.grant.clone() };
                ask.of(&RetireGrant { grant })
            }
            "RevokeGrant" => ask.of(&RevokeGrant { key_id, grant_id: self.grant.clone() }),
            "RotateKeyOnDemand" => ask.of(&RotateKeyOnDemand { key_id }),
            "ScheduleKeyDeletion" => {
                ask.of(&ScheduleKeyDeletion { key_id, pending_window: Some(Days::new(7)) })
            }
            "TagResource" => {
                let mut tags = Tags::new();
                tags.set("team", "ml").unwrap();
                ask.of(&TagResource { key_id, tags })
            }
            "UntagResource" => ask.of(&UntagResource { key_id, tag_keys: vec!["team".into()] }),
            "UpdateAlias" => ask.of(&UpdateAlias { alias_name: there, target_key_id: key_id }),
            "UpdateKeyDescription" => ask.of(&UpdateKeyDescription { key_id, description: "new".into() }),
            unknown => panic!("the operation {unknown} is in the table and not here"),
        }
    }
}

/// Somebody who asks.
struct Asked<'a> {
    door: &'a Door,
    caller: &'a Caller,
}

impl Asked<'_> {
    fn of<O: Operation>(&self, operation: &O) -> Result<(), CallError> {
        self.door.preview(self.caller, operation).map(drop)
    }
}

/// Bounds the user of that name to `kms:Describe*`.
fn bound(lab: &Lab) {
    use crate::services::iam::{CreatePolicy, PutUserPermissionsBoundary};
    let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Describe*", "Resource": "*"}}"#;
    let create = CreatePolicy {
        policy_name: "bound".parse().unwrap(),
        policy_document: text.into(),
        path: None,
        description: None,
        tags: None,
    };
    let permissions_boundary = lab.keystore().iam().call(&lab.admin(), &create).unwrap().arn;
    let put = PutUserPermissionsBoundary { user_name: "bounded".parse().unwrap(), permissions_boundary };
    lab.keystore().iam().call(&lab.admin(), &put).unwrap();
}

/// Compares what comes of every operation for everybody with what must.
fn compare(stage: &Stage, tier: Tier, state: KeyState) -> usize {
    let mut cases = 0;
    for row in OPERATIONS {
        // Other tiers have no aliases and no grants of a customer's.
        if tier != Tier::CustomerManaged && ["DeleteAlias", "RetireGrant", "RevokeGrant"].contains(&row.name)
        {
            continue;
        }
        for who in EVERYBODY {
            let outcome = stage.outcome(row.name, who, tier);
            let case = format!("{} by {who:?} on {tier:?} {state:?}: {outcome:?}", row.name);
            let code = outcome.err().map(|error| error.code());
            let on_a_key = !ON_NO_KEY.contains(&row.name);
            if !is_allowed(row.name, who, tier) {
                // An alias of another account's is not there.
                let hidden = ON_ALIASES.contains(&row.name) && code == Some(ErrorCode::NotFound);
                assert!(code == Some(ErrorCode::AccessDenied) || hidden, "{case}");
            } else if on_a_key {
                // What S3 seals under its own key no customer holds a ciphertext of.
                let foreign = tier == Tier::AwsManaged && row.name == "Decrypt";
                let expected =
                    if foreign { Some(ErrorCode::IncorrectKey) } else { by_state(row.name, state) };
                assert_eq!(code, expected, "{case}");
            } else {
                assert_eq!(code, None, "{case}");
            }
            cases += 1;
        }
    }
    cases
}

#[test]
fn every_operation_comes_to_what_it_must_for_everybody_on_customer_managed_keys_in_every_state() {
    for state in [KeyState::Enabled, KeyState::Disabled, KeyState::PendingDeletion] {
        let cases = compare(&Stage::new(state), Tier::CustomerManaged, state);
        assert_eq!(cases, OPERATIONS.len() * EVERYBODY.len());
    }
}

#[test]
fn every_operation_comes_to_what_it_must_for_everybody_on_keys_that_services_made() {
    let stage = Stage::new(KeyState::Enabled);
    for tier in [Tier::AwsManaged, Tier::AwsOwned] {
        compare(&stage, tier, KeyState::Enabled);
    }
}

#[test]
fn the_service_alone_uses_the_key_that_it_owns() {
    let stage = Stage::new(KeyState::Enabled);
    let service = Caller::service(Service::S3);
    let (door, key_id) = (stage.lab.kms().door(), stage.key_of(Tier::AwsOwned));
    let ask = Asked { door, caller: &service };
    assert!(ask.of(&DescribeKey { key_id: key_id.clone() }).is_ok());
    let denied = ask.of(&DisableKey { key_id }).unwrap_err();
    assert_eq!(denied.code(), ErrorCode::AccessDenied);
    let theirs = ask.of(&DescribeKey { key_id: stage.key.clone() }).unwrap_err();
    assert_eq!(theirs.code(), ErrorCode::AccessDenied);
}
