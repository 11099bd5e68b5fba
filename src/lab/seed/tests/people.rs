//! Groups, roles, managed policies, credentials and grants of seeds: made once, exact, and changed where that can be.

use super::*;
use crate::{
    crypto::totp,
    iam::{AccessKeyStatus, MfaSerial},
    secret::SecretBytes,
    services::{
        iam::ShowMfaCode,
        query::Reply,
        sts::{AssumeRole, GetCallerIdentity},
    },
};

fn made(lab: &Lab, text: &str) -> (Vec<String>, Vec<Reply>) {
    let plan = Seed::parse(text).unwrap().plan(lab.keystore()).unwrap();
    let mut secrets = Vec::new();
    plan.apply(lab.keystore(), &lab.admin(), &mut secrets).unwrap();
    (lines(&plan), secrets)
}

fn unchanged(lab: &Lab, text: &str) {
    let (lines, secrets) = made(lab, text);
    assert!(lines.iter().all(|line| line.starts_with("unchanged")), "{lines:?}");
    assert!(secrets.is_empty());
}

fn caller(lab: &Lab, name: &str) -> Caller {
    lab.keystore().caller(name).unwrap()
}

const TEAM: &str = r#"
    [users.alice]
    [users.bob]

    [managed_policies.open]
    allow = "kms:Decrypt"

    [managed_policies.seal-at-most]
    allow = ["kms:Encrypt", "kms:Decrypt"]

    [groups.team]
    members = ["alice"]
    managed_policies = ["open"]

    [groups.team.policies.seal]
    allow = "kms:Encrypt"

    [[keys]]
    aliases = ["alias/m"]
"#;

#[test]
fn a_groups_members_have_its_policies_and_nobody_else_has() {
    let lab = Lab::new().unwrap();
    made(&lab, TEAM);
    unchanged(&lab, TEAM);
    let blob = encrypt(&lab, &caller(&lab, "user/alice"), "alias/m").unwrap();
    assert_eq!(decrypt(&lab, &caller(&lab, "user/alice"), &blob), Ok(()));
    assert_eq!(decrypt(&lab, &caller(&lab, "user/bob"), &blob), Err(ErrorCode::AccessDenied));

    // A member more is added, and one that is not named stays.
    let (lines, _) = made(&lab, &TEAM.replace(r#"["alice"]"#, r#"["bob"]"#));
    assert_eq!(lines.iter().filter(|line| !line.starts_with("unchanged")).count(), 1, "{lines:?}");
    assert_eq!(decrypt(&lab, &caller(&lab, "user/bob"), &blob), Ok(()));
    assert_eq!(decrypt(&lab, &caller(&lab, "user/alice"), &blob), Ok(()));

    // A managed policy that says something else gets a new version, and the oldest goes when there are five.
    for action in
        ["kms:ListKeys", "kms:ListAliases", "kms:GenerateRandom", "kms:DescribeKey", "kms:GetKeyPolicy"]
    {
        made(&lab, &TEAM.replace("\"kms:Decrypt\"\n", &format!("\"{action}\"\n")));
        assert_eq!(decrypt(&lab, &caller(&lab, "user/alice"), &blob), Err(ErrorCode::AccessDenied));
    }
    made(&lab, TEAM);
    assert_eq!(decrypt(&lab, &caller(&lab, "user/alice"), &blob), Ok(()));
}

#[test]
fn a_boundary_and_tags_are_brought_into_line() {
    let lab = Lab::new().unwrap();
    let seed =
        |more: &str| format!("{TEAM}\n[users.erin]\n{more}\n[users.erin.policies.all]\nallow = \"kms:*\"\n");
    made(&lab, &seed("tags = { a = \"1\", b = \"2\" }"));
    let rotate = |lab: &Lab| {
        let operation = crate::kms::RotateKeyOnDemand { key_id: "alias/m".parse().unwrap() };
        lab.kms()
            .rotate_key_on_demand(&caller(lab, "user/erin"), operation)
            .map(drop)
            .map_err(|error| error.code())
    };
    assert_eq!(rotate(&lab), Ok(()));
    let bounded = seed("permissions_boundary = \"seal-at-most\"\ntags = { b = \"3\" }\npath = \"/team/\"");
    let (lines, _) = made(&lab, &bounded);
    let changed: Vec<&String> = lines.iter().filter(|line| !line.starts_with("unchanged")).collect();
    assert_eq!(
        changed,
        [
            "kept       user erin: its path is `/` and not `/team/`",
            "update     user erin: take off tags",
            "update     user erin: tags",
            "update     user erin: permissions boundary",
        ]
    );
    assert_eq!(rotate(&lab), Err(ErrorCode::AccessDenied));
    assert!(encrypt(&lab, &caller(&lab, "user/erin"), "alias/m").is_ok());
}

#[test]
fn roles_come_after_those_whom_they_trust_and_their_trust_is_changed() {
    let lab = Lab::new().unwrap();
    let trusting = |arn: &str| {
        format!(
            r#"trust = '{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{arn}"}}, "Action": "sts:AssumeRole"}}]}}'"#
        )
    };
    // By their names the other way round, and one of another account.
    let seed = |whom: &str| {
        format!(
            "[roles.a]\n{}\n[roles.b]\n{}\n[users.u]\n[users.w]\n[accounts.444455556666]\nname = \"p\"\n\
             [accounts.444455556666.roles.z]\nmax_session_duration = 7200\n",
            trusting("arn:aws:iam::{account}:role/b"),
            trusting(whom),
        )
    };
    let (lines, _) = made(&lab, &seed("arn:aws:iam::444455556666:role/z"));
    let place = |what: &str| lines.iter().position(|line| line.ends_with(what)).unwrap();
    assert!(
        place("role z in 444455556666") < place("role b") && place("role b") < place("role a"),
        "{lines:?}"
    );
    unchanged(&lab, &seed("arn:aws:iam::444455556666:role/z"));

    let assume = |who: &str| {
        let role = "arn:aws:iam::111122223333:role/b".parse().unwrap();
        lab.keystore()
            .sts()
            .call(&caller(&lab, who), &AssumeRole::new(role, "session".parse().unwrap()))
            .is_ok()
    };
    assert!(!assume("user/u"));
    let (lines, _) = made(&lab, &seed("arn:aws:iam::{account}:user/u"));
    assert!(lines.contains(&"update     role b: trust policy".into()), "{lines:?}");
    assert!(assume("user/u") && !assume("user/w"));
}

#[test]
fn access_keys_are_given_or_made_and_told_once() {
    let lab = Lab::new().unwrap();
    let seed = "[users.alice]\n[[users.alice.access_keys]]\nid = \"AKIAIOSFODNN7EXAMPLE\"\n\
                test_only_secret = \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"\n\
                [[users.alice.access_keys]]\n";
    let (_, secrets) = made(&lab, seed);
    let [one] = secrets.as_slice() else { panic!("{secrets:?}") };
    assert_eq!(one.within, "AccessKey");
    assert_eq!(one.secret.as_ref().unwrap().secret.len(), 40);
    assert!(!format!("{secrets:?}{:?}", Seed::parse(seed).unwrap()).contains("wJalr"));
    let (lines, secrets) = made(&lab, seed);
    assert_eq!(
        lines,
        [
            "kept       user alice: access key AKIAIOSFODNN7EXAMPLE: its secret, which nobody can read or replace"
        ]
    );
    assert!(secrets.is_empty());

    // The secret is the given one, and lies nowhere in clear.
    let given = lab.keystore().named_caller("AKIAIOSFODNN7EXAMPLE").unwrap();
    let who = lab.keystore().sts().call(&given, &GetCallerIdentity {}).unwrap();
    assert_eq!(who.arn.as_str(), "arn:aws:iam::111122223333:user/alice");
    let rows = lab.keystore().world().unwrap().to_rows();
    assert!(rows.iter().all(|row| !String::from_utf8_lossy(&row.body).contains("wJalr")));
    #[cfg(feature = "server")]
    {
        let secret = lab.keystore().secret_access_key(&"AKIAIOSFODNN7EXAMPLE".parse().unwrap()).unwrap();
        assert_eq!(secret.expose_secret(), b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    }
    assert!(!format!("{:?}", lab.keystore().audit_tail(&lab.admin(), 100).unwrap()).contains("wJalr"));

    // A status is brought into line; somebody else's key is left alone.
    let inactive =
        "[users.alice]\naccess_keys = [{ id = \"AKIAIOSFODNN7EXAMPLE\", status = \"Inactive\" }]\n";
    let (lines, _) = made(&lab, inactive);
    assert_eq!(lines, ["update     user alice: access key AKIAIOSFODNN7EXAMPLE: Inactive"]);
    assert!(lab.keystore().sts().call(&given, &GetCallerIdentity {}).is_err());
    let theirs = inactive.replace("alice", "bob").replace(", status = \"Inactive\"", "");
    let (lines, _) = made(&lab, &theirs);
    assert!(lines[1].ends_with("it is somebody else's"), "{lines:?}");
    let status = lab.keystore().world().unwrap();
    let key = status.identities().access_key(&"AKIAIOSFODNN7EXAMPLE".parse().unwrap()).cloned().unwrap();
    assert_eq!(key.status, AccessKeyStatus::Inactive);
}

#[test]
fn an_mfa_device_is_enabled_and_shows_codes_to_whoever_may_see_them() {
    let lab = Lab::new().unwrap();
    // RFC 6238's seed.
    let seed = "[users.alice.mfa_devices.phone]\ntest_only_seed = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n\
                [users.alice.mfa_devices.tablet]\n[users.alice.policies.sts]\nallow = \"sts:*\"\n";
    let (_, secrets) = made(&lab, seed);
    let [tablet] = secrets.as_slice() else { panic!("{secrets:?}") };
    assert!(tablet.body.to_string().contains("mfa/tablet") && tablet.secret.is_some());
    let (lines, _) = made(&lab, seed);
    assert!(lines[0].ends_with("MFA device phone: its seed, which nobody can read or replace"), "{lines:?}");
    assert_eq!(lines.len(), 1);

    let serial: MfaSerial = "arn:aws:iam::111122223333:mfa/phone".parse().unwrap();
    let show = ShowMfaCode { serial_number: serial.clone() };
    let iam = lab.keystore().iam();
    let codes = iam.call(&lab.admin(), &show).unwrap().codes;
    // The step of now enabled the device, so the next one counts.
    let step = u64::try_from(lab.keystore().time().as_millis() / 30_000 + 1).unwrap();
    let rfc: SecretBytes = b"12345678901234567890".as_slice().into();
    assert_eq!(codes, [totp::shown(&rfc, step)]);
    let token = crate::services::sts::GetSessionToken {
        duration_seconds: None,
        serial_number: Some(serial),
        token_code: Some(codes[0].parse().unwrap()),
    };
    let sts = lab.keystore().sts();
    assert!(sts.call(&caller(&lab, "user/alice"), &token).is_ok());
    assert!(sts.call(&caller(&lab, "user/alice"), &token).is_err(), "a code counts once");
    let spent = iam.call(&lab.admin(), &show).unwrap_err();
    assert_eq!(spent.code(), ErrorCode::InvalidAuthenticationCode);
    let denied = iam.call(&caller(&lab, "user/alice"), &show).unwrap_err();
    assert_eq!(denied.code(), ErrorCode::AccessDenied);
}

#[test]
fn grants_are_known_by_their_names() {
    let lab = Lab::new().unwrap();
    let seed = |operations: &str| {
        format!(
            "[roles.job]\n[[keys]]\naliases = [\"alias/m\"]\nstate = \"disabled\"\n[[keys.grants]]\nname = \"job\"\n\
             id = \"grant-of-the-job\"\ngrantee_principal = \"role/job\"\noperations = [{operations}]\n\
             encryption_context_subset = {{ job = \"x\" }}\n"
        )
    };
    let (lines, _) = made(&lab, &seed("\"Decrypt\""));
    assert_eq!(lines[3..], ["create     key alias/m: grant job", "update     key alias/m: disable"]);
    unchanged(&lab, &seed("\"Decrypt\""));
    let (lines, _) = made(&lab, &seed("\"Decrypt\", \"Encrypt\""));
    assert!(
        lines[1].starts_with("kept       grant job on arn:") && lines[1].ends_with("revoke it first"),
        "{lines:?}"
    );
    let world = lab.keystore().world().unwrap();
    let key = world.keys().next().unwrap().arn.clone();
    assert_eq!(
        world.grants_on(&key, None).map(|grant| grant.id.as_str()).collect::<Vec<_>>(),
        ["grant-of-the-job"]
    );

    // A grant more, on the key that is disabled: it is enabled for it, and disabled again.
    let more = format!(
        "{}[[keys.grants]]\nname = \"two\"\ngrantee_principal = \"role/job\"\noperations = [\"Encrypt\"]\n",
        seed("\"Decrypt\"")
    );
    let (lines, _) = made(&lab, &more);
    let changed: Vec<&String> = lines.iter().filter(|line| !line.starts_with("unchanged")).collect();
    assert_eq!(
        changed,
        [
            "update     key alias/m: enable",
            "create     key alias/m: grant two",
            "update     key alias/m: disable"
        ]
    );
}

#[test]
fn a_key_can_be_pending_deletion_from_the_beginning() {
    let lab = Lab::new().unwrap();
    let seed = "[[keys]]\naliases = [\"alias/m\"]\nstate = \"pending deletion\"\ndeletion_window = 7\n";
    made(&lab, seed);
    unchanged(&lab, seed);
    assert_eq!(encrypt(&lab, &lab.admin(), "alias/m"), Err(ErrorCode::KmsInvalidState));
    let (lines, _) =
        made(&lab, &seed.replace("pending deletion", "enabled").replace("deletion_window = 7\n", ""));
    assert_eq!(lines, ["update     key alias/m: cancel its deletion", "update     key alias/m: enable"]);
    assert!(encrypt(&lab, &lab.admin(), "alias/m").is_ok());
}

#[test]
fn what_is_named_and_not_there_is_told_with_its_place_before_anything_is_done() {
    let lab = Lab::new().unwrap();
    for (text, place, words) in [
        ("[groups.g]\nmembers = [\n  \"nobody\",\n]\n", (3, 3), "user `nobody`"),
        (
            "[users.u]\nmanaged_policies = [\"mine\"]\n",
            (2, 21),
            "policy `arn:aws:iam::111122223333:policy/mine`",
        ),
        ("[users.u]\npermissions_boundary = \"arn:aws:iam::aws:policy/Nope\"\n", (2, 24), "aws:policy/Nope"),
        ("[roles.r]\nmanaged_policies = [\"{account}\"]\n", (2, 21), "policy/111122223333"),
    ] {
        let error = Seed::parse(text).unwrap().plan(lab.keystore()).unwrap_err();
        let SeedError::Unknown { place: found, what, hint } = &error else { panic!("{error}") };
        assert_eq!((found.line, found.column), place, "{error}");
        assert!(what.contains(words) && !hint.is_empty(), "{error}");
    }
    for (text, line, words) in [
        ("[users.u]\nmanaged_policies = [\"a b\"]\n", 2, "`a b` is no managed policy"),
        ("[[users.u.access_keys]]\nstatus = \"Active\"\n", 1, "needs an `id`"),
        (
            "[users.u]\naccess_keys = [{ id = \"AKIAIOSFODNN7EXAMPLE\", test_only_secret = \"short\" }]\n",
            2,
            "40 letters",
        ),
        ("[users.u.mfa_devices.d]\ntest_only_seed = \"SHORT\"\n", 2, "16 to 64 bytes in base32"),
        ("[roles.r]\ntrust = { Sid = \"x\" }\n", 2, "a trust policy needs a `Statement`"),
        (
            "[[keys]]\nid = \"k\"\n[[keys.grants]]\nname = \"g\"\ngrantee_principal = \"alice\"\noperations = [\"Decrypt\"]\n",
            5,
            "`alice` names nobody",
        ),
        ("[[keys]]\nid = \"k\"\ndeletion_window = 7\n", 1, "goes with `state = \"pending deletion\"`"),
        ("[[keys]]\nid = \"k\"\nstate = \"pending deletion\"\ndeletion_window = 3\n", 4, "7 to 30 days"),
    ] {
        let error = Seed::parse(text).unwrap_err();
        let SeedError::Text { place: found, message } = &error else { panic!("{error}") };
        assert_eq!(found.line, line, "{text}{error}");
        assert!(message.contains(words), "{text}{error}");
    }
}
