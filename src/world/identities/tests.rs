//! Every noun of identity management survives its row, and is found by what names it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    iam::{
        AccessKeyStatus, IamPath, LastUsed, MaxSessionDuration, MfaAssignment, TrustPolicy, UniqueId,
        UniqueIdKind,
    },
    model::{Tags, Timestamp},
    policy::{BoundPolicy, Policy, PolicyKind},
    world::{Change, Settings, World},
};

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn id(kind: UniqueIdKind) -> UniqueId {
    UniqueId::from_random(kind, [5; 17])
}

fn tags() -> Tags {
    let mut tags = Tags::new();
    tags.set("team", "ml").unwrap();
    tags
}

fn user() -> User {
    let path = "/team/".parse().unwrap();
    let now = Timestamp::from_millis(7);
    let mut user = User::new(account(), path, "alice".parse().unwrap(), id(UniqueIdKind::User), now);
    user.tags = tags();
    user.groups = BTreeSet::from(["admins".parse().unwrap()]);
    user.permissions.inline.insert("p".parse().unwrap(), ALLOW.to_owned().try_into().unwrap());
    user.permissions.attached.insert("arn:aws:iam::aws:policy/AdministratorAccess".parse().unwrap());
    user.boundary = Some("arn:aws:iam::111122223333:policy/fence".parse().unwrap());
    user
}

fn role() -> Role {
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",
        "Principal":{"AWS":"arn:aws:iam::111122223333:user/team/alice"}}}"#;
    let ids = BTreeMap::from([(user().arn(), user().id.to_string())]);
    let trust = TrustPolicy::new(BoundPolicy::new(Policy::parse(trust, PolicyKind::Trust).unwrap(), ids));
    let name = (account(), IamPath::default(), "ops".parse().unwrap());
    let mut role = Role::new(name, id(UniqueIdKind::Role), Timestamp::from_millis(7), trust);
    role.max_session_duration = MaxSessionDuration::try_from(7_200).unwrap();
    role.description = "looks after things".into();
    role
}

fn everything() -> Vec<IdentityChange> {
    let created = Timestamp::from_millis(7);
    let group = Group::new(
        account(),
        IamPath::default(),
        "admins".parse().unwrap(),
        id(UniqueIdKind::Group),
        created,
    );
    let fence = "arn:aws:iam::111122223333:policy/fence".parse().unwrap();
    let document = ALLOW.to_owned().try_into().unwrap();
    let policy = ManagedPolicy::new(fence, id(UniqueIdKind::ManagedPolicy), created, document);
    let access_key = AccessKey {
        id: AccessKeyId::from_random([1; 16]),
        account: account(),
        user: Some("alice".parse().unwrap()),
        status: AccessKeyStatus::Inactive,
        created,
        last_used: Some(LastUsed {
            at: created,
            service: "kms".into(),
            region: "us-east-1".parse().unwrap(),
        }),
        wrapped: vec![1, 2, 3],
    };
    let device = MfaDevice {
        serial: "arn:aws:iam::111122223333:mfa/alice".parse().unwrap(),
        created,
        tags: tags(),
        assigned: MfaAssignment::by_two_codes(None, created, |_, _| true),
        wrapped: vec![4, 5, 6],
    };
    let provider = OpenIdConnectProvider {
        arn: "arn:aws:iam::111122223333:oidc-provider/token.example.com".parse().unwrap(),
        client_ids: BTreeSet::from(["keystead".parse().unwrap()]),
        jwks: Some(r#"{"keys":[]}"#.parse().unwrap()),
        created,
        tags: tags(),
    };
    vec![
        IdentityChange::PutUser(Box::new(user())),
        IdentityChange::PutGroup(Box::new(group)),
        IdentityChange::PutRole(Box::new(role())),
        IdentityChange::PutManagedPolicy(Box::new(policy)),
        IdentityChange::PutAccessKey(Box::new(access_key)),
        IdentityChange::PutMfaDevice(Box::new(device)),
        IdentityChange::PutProvider(Box::new(provider)),
    ]
}

fn world() -> World {
    let settings = Settings {
        account: account(),
        region: "us-east-1".parse().unwrap(),
        clock_offset_millis: 0,
        witnesses: Vec::new(),
        digest_key: None,
    };
    World::new(settings)
}

#[test]
fn each_noun_survives_its_row_and_can_be_taken_away() {
    let mut world = world();
    for change in everything() {
        world.apply(&Change::Identity(change));
    }
    let rows = world.to_rows();
    assert_eq!(rows.len(), everything().len() + 1, "and the settings");
    let again = World::from_rows(&rows).unwrap();
    assert_eq!(again.to_rows(), rows);

    let identities = again.identities();
    let (alice, fence) =
        ("alice".parse().unwrap(), "arn:aws:iam::111122223333:policy/fence".parse().unwrap());
    assert_eq!(identities.user(&account(), &alice).unwrap().boundary.as_ref(), Some(&fence));
    assert_eq!(identities.access_keys_of(&account(), Some(&alice)).count(), 1);
    assert_eq!(identities.access_keys_of(&account(), None).count(), 0);
    assert_eq!(identities.mfa_devices_of(&account(), None).count(), 1);
    assert_eq!(identities.mfa_devices_of(&account(), Some(&alice)).count(), 0);
    assert_eq!(identities.policy(&fence).unwrap().default_version().document.text(), ALLOW);

    let mut emptied = again.clone();
    for row in &rows {
        let gone = match Change::from_row(row).unwrap() {
            Change::Identity(IdentityChange::PutUser(user)) => {
                IdentityChange::DeleteUser(user.account, user.name)
            }
            Change::Identity(IdentityChange::PutGroup(group)) => {
                IdentityChange::DeleteGroup(group.account, group.name)
            }
            Change::Identity(IdentityChange::PutRole(role)) => {
                IdentityChange::DeleteRole(role.account, role.name)
            }
            Change::Identity(IdentityChange::PutManagedPolicy(policy)) => {
                IdentityChange::DeleteManagedPolicy(policy.arn)
            }
            Change::Identity(IdentityChange::PutAccessKey(key)) => IdentityChange::DeleteAccessKey(key.id),
            Change::Identity(IdentityChange::PutMfaDevice(device)) => {
                IdentityChange::DeleteMfaDevice(device.serial)
            }
            Change::Identity(IdentityChange::PutProvider(provider)) => {
                IdentityChange::DeleteProvider(provider.arn)
            }
            _ => continue,
        };
        assert!(matches!(gone.to_row(), RowChange::Delete(id) if id == row.id));
        emptied.apply(&Change::Identity(gone));
    }
    assert_eq!(emptied.to_rows().len(), 1);
}

#[test]
fn a_row_under_another_id_or_with_a_damaged_body_is_refused() {
    for change in everything() {
        let RowChange::Put(row) = change.to_row() else { panic!("a put writes a row") };
        let mut moved = row.clone();
        moved.id.id.push('x');
        assert!(Change::from_row(&moved).is_err(), "{}", row.id.table);
        let mut damaged = row;
        damaged.body.truncate(10);
        assert!(Change::from_row(&damaged).is_err(), "{}", damaged.id.table);
    }
}

#[test]
fn an_arn_finds_its_principal_only_with_the_right_path() {
    let mut world = world();
    for change in everything() {
        world.apply(&Change::Identity(change));
    }
    let find = |arn: &str| world.identity(&arn.parse().unwrap()).map(|found| found.arn().to_string());
    assert_eq!(
        find("arn:aws:iam::111122223333:user/team/alice").as_deref(),
        Some("arn:aws:iam::111122223333:user/team/alice")
    );
    let role = Some("arn:aws:iam::111122223333:role/ops");
    assert_eq!(find("arn:aws:sts::111122223333:assumed-role/ops/me").as_deref(), role);
    assert_eq!(find("arn:aws:iam::111122223333:role/ops").as_deref(), role);
    for nobody in [
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:user/other/alice",
        "arn:aws:iam::444455556666:user/team/alice",
        "arn:aws:iam::111122223333:role/team/alice",
        "arn:aws:sts::111122223333:assumed-role/other/me",
        "arn:aws:iam::111122223333:root",
    ] {
        assert_eq!(find(nobody), None, "{nobody}");
    }
}
