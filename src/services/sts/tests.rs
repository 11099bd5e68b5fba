//! Who may take on which role, what a session may do, and when it is over.

use serde_json::{Value, json};

use super::*;
use crate::{
    crypto::totp,
    iam::{MfaSerial, PolicyName, RoleName},
    kms::{CreateKey, DescribeKey, ListKeys},
    model::{ErrorCode, KeyArn, PrincipalArn, Tags},
    secret::SecretBytes,
    services::iam::{
        CreateOpenIdConnectProvider, CreateRole, CreateVirtualMfaDevice, DeleteRole, DeleteRolePolicy,
        EnableMfaDevice, UpdateAssumeRolePolicy, UpdateRole,
    },
    testing::Lab,
};

/// What the `aws` command would send.
fn request<O: serde::de::DeserializeOwned>(parameters: Value) -> O {
    serde_json::from_value(parameters).unwrap()
}

fn trust(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

/// A lab with the role `trainer`, which may do everything to keys and which this trust policy opens.
struct Scene {
    lab: Lab,
    role: PrincipalArn,
    key: KeyArn,
}

impl Scene {
    fn new(trust_statement: Value) -> Self {
        let lab = Lab::new().unwrap();
        let (iam, name): (_, RoleName) = (lab.keystore().iam(), "trainer".parse().unwrap());
        let create = CreateRole::new(name.clone(), trust(trust_statement).into());
        let role = iam.call(&lab.admin(), &create).unwrap().arn;
        let policy = trust(json!({"Effect": "Allow", "Action": ["kms:*", "sts:*"], "Resource": "*"}));
        iam.put_role_policy(&lab.admin(), name, "all".parse().unwrap(), &policy).unwrap();
        let key = lab.kms().create_key(&lab.admin(), CreateKey::default()).unwrap().arn;
        Self { lab, role, key }
    }

    /// Opened to the account: identity policies say who.
    fn delegating() -> Self {
        let account = "arn:aws:iam::111122223333:root";
        Self::new(json!({"Effect": "Allow", "Principal": {"AWS": account},
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}))
    }

    fn set_trust(&self, statement: Value) {
        let update = UpdateAssumeRolePolicy {
            role_name: "trainer".parse().unwrap(),
            policy_document: trust(statement).into(),
        };
        self.lab.keystore().iam().call(&self.lab.admin(), &update).unwrap();
    }

    fn assume(&self, caller: &Caller, more: Value) -> Result<Caller, CallError> {
        let mut parameters = json!({"RoleArn": self.role, "RoleSessionName": "run-1"});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let assumed = self.sts().call(caller, &request::<AssumeRole>(parameters))?;
        self.sts().caller(&assumed.credentials.access_key_id)
    }

    fn sts(&self) -> Sts<'_> {
        self.lab.keystore().sts()
    }

    fn describe(&self, caller: &Caller) -> Result<(), ErrorCode> {
        let described = self.lab.kms().describe_key(caller, DescribeKey { key_id: self.key.clone().into() });
        described.map(|_| ()).map_err(|error| error.code())
    }

    fn list(&self, caller: &Caller) -> Result<(), ErrorCode> {
        self.lab.kms().list_keys(caller, ListKeys::default()).map(|_| ()).map_err(|error| error.code())
    }
}

fn code<T>(result: Result<T, CallError>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code()
}

const DENIED: ErrorCode = ErrorCode::AccessDenied;

#[test]
fn a_role_is_assumed_by_whom_both_sides_let() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let bob = scene.lab.user("bob", &[]).unwrap();
    let session = scene.assume(&alice, json!({})).unwrap();
    assert_eq!(session.arn().unwrap().as_str(), "arn:aws:sts::111122223333:assumed-role/trainer/run-1");
    assert_eq!(scene.describe(&session), Ok(()));
    assert_eq!(scene.describe(&alice), Err(DENIED));
    assert_eq!(code(scene.assume(&bob, json!({}))), DENIED);
    // Named in the trust policy, bob needs no identity policy; alice is not named any more.
    let names_bob =
        json!({"Effect": "Allow", "Principal": {"AWS": bob.arn().unwrap()}, "Action": "sts:AssumeRole"});
    scene.set_trust(names_bob);
    assert!(scene.assume(&bob, json!({})).is_ok());
    assert_eq!(code(scene.assume(&alice, json!({}))), DENIED);
    // Nor does the root user of the account, which AWS keeps from roles.
    let root = Caller::local(PrincipalArn::root(&"111122223333".parse().unwrap()));
    assert_eq!(code(scene.assume(&root, json!({}))), DENIED);
}

#[test]
fn a_role_that_is_not_there_is_denied_in_the_same_words() {
    let scene = Scene::delegating();
    let bob = scene.lab.user("bob", &[]).unwrap();
    let words = |arn: &str| {
        let call = AssumeRole::new(arn.parse().unwrap(), "run-1".parse().unwrap());
        scene.sts().call(&bob, &call).unwrap_err().message().replace(arn, "ARN")
    };
    let (there, missing) = (words(scene.role.as_str()), words("arn:aws:iam::111122223333:role/none"));
    assert!(there.starts_with(&missing), "{there} / {missing}");
}

#[test]
fn an_external_id_must_be_the_one_asked_for() {
    let scene = Scene::new(json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "blue-42"}}}));
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    assert!(scene.assume(&alice, json!({"ExternalId": "blue-42"})).is_ok());
    assert_eq!(code(scene.assume(&alice, json!({"ExternalId": "red-42"}))), DENIED);
    assert_eq!(code(scene.assume(&alice, json!({}))), DENIED);
}

#[test]
fn session_policies_limit_and_never_add() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let only = |action: &str| trust(json!({"Effect": "Allow", "Action": action, "Resource": "*"}));
    let narrow = scene.assume(&alice, json!({"Policy": only("kms:DescribeKey")})).unwrap();
    assert_eq!((scene.describe(&narrow), scene.list(&narrow)), (Ok(()), Err(DENIED)));
    let wide = scene.assume(&alice, json!({"Policy": only("iam:*")})).unwrap();
    assert_eq!(scene.describe(&wide), Err(DENIED));
    let managed = json!({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]});
    assert_eq!(scene.describe(&scene.assume(&alice, managed).unwrap()), Ok(()));
    let unknown = json!({"PolicyArns": [{"arn": "arn:aws:iam::111122223333:policy/none"}]});
    assert_eq!(code(scene.assume(&alice, unknown)), ErrorCode::IamMalformedPolicyDocument);
    assert_eq!(code(scene.assume(&alice, json!({"Policy": "{}"}))), ErrorCode::IamMalformedPolicyDocument);
}

#[test]
fn a_session_ends_by_the_keystores_clock() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let session = scene.assume(&alice, json!({})).unwrap();
    assert_eq!(scene.describe(&session), Ok(()));
    scene.lab.advance(1);
    assert_eq!(scene.describe(&session), Err(ErrorCode::ExpiredToken));
    // Long after, it is forgotten: not even its expiry is told.
    scene.lab.advance(3);
    scene.assume(&alice, json!({})).unwrap();
    assert_eq!(scene.describe(&session), Err(ErrorCode::InvalidClientTokenId));
}

#[test]
fn a_session_lasts_no_longer_than_its_role_lets_and_a_chained_one_an_hour() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let long = json!({"DurationSeconds": 7200});
    assert_eq!(code(scene.assume(&alice, long.clone())), ErrorCode::IamValidation);
    let update = UpdateRole {
        role_name: "trainer".parse().unwrap(),
        description: None,
        max_session_duration: Some(7200.try_into().unwrap()),
    };
    scene.lab.keystore().iam().call(&scene.lab.admin(), &update).unwrap();
    let session = scene.assume(&alice, long.clone()).unwrap();
    assert_eq!(code(scene.assume(&session, long)), ErrorCode::IamValidation);
    assert!(scene.assume(&session, json!({"DurationSeconds": 3600})).is_ok());
}

#[test]
fn tags_and_the_source_identity_need_their_own_permission_and_pass_on() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let carol = scene.lab.user("carol", &["sts:*"]).unwrap();
    let tagged = json!({"Tags": [{"Key": "team", "Value": "ml"}, {"Key": "run", "Value": "1"}],
        "TransitiveTagKeys": ["team"], "SourceIdentity": "carol"});
    assert_eq!(code(scene.assume(&alice, tagged.clone())), DENIED);
    let session = scene.assume(&carol, tagged).unwrap();
    // A key's policy that looks at the tag of who calls, and one that looks at who is behind it.
    let needs = |condition: Value| {
        let statement = json!([
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:PutKeyPolicy",
             "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:DescribeKey",
             "Resource": "*", "Condition": {"StringEquals": condition}}]);
        let put = crate::kms::PutKeyPolicy {
            key_id: scene.key.clone().into(),
            policy: trust(statement),
            bypass_policy_lockout_safety_check: true,
        };
        scene.lab.kms().put_key_policy(&scene.lab.admin(), put).unwrap();
    };
    needs(json!({"aws:PrincipalTag/team": "ml"}));
    assert_eq!(scene.describe(&session), Ok(()));
    let chained = scene.assume(&session, json!({})).unwrap();
    assert_eq!(scene.describe(&chained), Ok(()), "a transitive tag passes on");
    needs(json!({"aws:PrincipalTag/run": "1"}));
    assert_eq!((scene.describe(&session), scene.describe(&chained)), (Ok(()), Err(DENIED)));
    needs(json!({"aws:SourceIdentity": "carol"}));
    assert_eq!(scene.describe(&chained), Ok(()), "the source identity stays");
    assert_eq!(code(scene.assume(&session, json!({"SourceIdentity": "mallory"}))), DENIED);
    let overridden = json!({"Tags": [{"Key": "Team", "Value": "red"}]});
    assert_eq!(code(scene.assume(&session, overridden)), ErrorCode::IamValidation);
}

#[test]
fn a_session_dies_with_its_role_even_if_one_of_the_same_name_is_made() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let session = scene.assume(&alice, json!({})).unwrap();
    let (iam, admin) = (scene.lab.keystore().iam(), scene.lab.admin());
    let (name, policy): (RoleName, PolicyName) = ("trainer".parse().unwrap(), "all".parse().unwrap());
    iam.call(&admin, &DeleteRolePolicy { role_name: name.clone(), policy_name: policy }).unwrap();
    iam.call(&admin, &DeleteRole { role_name: name.clone() }).unwrap();
    assert_eq!(scene.describe(&session), Err(ErrorCode::InvalidClientTokenId));
    iam.create_role(&admin, name, Default::default()).unwrap();
    assert_eq!(scene.describe(&session), Err(ErrorCode::InvalidClientTokenId));
}

/// A user's MFA device whose codes the test knows.
struct Device {
    serial: MfaSerial,
    seed: SecretBytes,
}

impl Device {
    fn of(lab: &Lab, user: &str) -> Self {
        let (iam, admin) = (lab.keystore().iam(), lab.admin());
        let create = request::<CreateVirtualMfaDevice>(json!({"VirtualMFADeviceName": user}));
        let made = iam.call(&admin, &create).unwrap();
        let base32 = made.base32_string_seed.expose_secret();
        let seed = data_encoding::BASE32.decode(base32).unwrap().as_slice().into();
        let device = Self { serial: made.serial_number, seed };
        let enable = json!({"UserName": user, "SerialNumber": device.serial,
            "AuthenticationCode1": device.shows(lab, -1), "AuthenticationCode2": device.shows(lab, 0)});
        iam.call(&admin, &request::<EnableMfaDevice>(enable)).unwrap();
        device
    }

    fn shows(&self, lab: &Lab, steps_away: i64) -> String {
        let now = lab.keystore().time().as_millis() / 30_000;
        totp::shown(&self.seed, u64::try_from(now + steps_away).unwrap())
    }
}

#[test]
fn nobody_learns_from_a_denial_whether_there_is_such_a_role() {
    let scene = Scene::delegating();
    let bob = scene.lab.user("bob", &[]).unwrap();
    let denied = |role: &str| {
        let role = format!("arn:aws:iam::111122223333:role/{role}");
        let error = scene.assume(&bob, json!({"RoleArn": role})).unwrap_err();
        (error.code(), error.message().replace(&role, "ROLE"))
    };
    assert_eq!(denied("trainer"), denied("nosuch"));
}

#[test]
fn a_session_token_with_mfa_opens_what_asks_for_mfa() {
    let scene = Scene::delegating();
    let policy = trust(json!({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*",
        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}));
    let alice = scene.lab.user_with_policy("alice", &policy).unwrap();
    let device = Device::of(&scene.lab, "alice");
    let take = |more: Value| {
        let token = scene.sts().call(&alice, &request::<GetSessionToken>(more))?;
        scene.sts().caller(&token.credentials.access_key_id)
    };
    let with = |code: String| json!({"SerialNumber": device.serial, "TokenCode": code});
    assert_eq!(scene.list(&alice), Err(DENIED));
    assert_eq!(scene.list(&take(json!({})).unwrap()), Err(DENIED));
    let code_now = device.shows(&scene.lab, 1);
    let session = take(with(code_now.clone())).unwrap();
    assert_eq!(scene.list(&session), Ok(()));
    assert_eq!(code(take(with(code_now))), DENIED, "a code counts once");
    assert_eq!(code(take(with("000000".into()))), DENIED);
    assert_eq!(code(take(json!({"SerialNumber": device.serial}))), ErrorCode::IamValidation);
    // Somebody else's device is none, and who has temporary credentials gets no more of them.
    let bob = scene.lab.user("bob", &[]).unwrap();
    let theirs = request::<GetSessionToken>(with(device.shows(&scene.lab, 1)));
    assert_eq!(code(scene.sts().call(&bob, &theirs)), DENIED);
    assert_eq!(code(scene.sts().call(&session, &request::<GetSessionToken>(json!({})))), DENIED);
}

#[test]
fn a_role_that_asks_for_mfa_is_assumed_with_a_code() {
    let scene = Scene::new(json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "sts:AssumeRole", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}));
    let alice = scene.lab.user("alice", &["sts:AssumeRole"]).unwrap();
    let device = Device::of(&scene.lab, "alice");
    assert_eq!(code(scene.assume(&alice, json!({}))), DENIED);
    let with = json!({"SerialNumber": device.serial, "TokenCode": device.shows(&scene.lab, 1)});
    assert!(scene.assume(&alice, with).is_ok());
}

#[test]
fn a_federated_user_has_what_both_its_policies_and_its_user_allow() {
    let scene = Scene::delegating();
    let alice = scene.lab.user("alice", &["sts:*", "kms:DescribeKey", "kms:ListKeys"]).unwrap();
    let take = |more: Value| {
        let token = scene.sts().call(&alice, &request::<GetFederationToken>(more)).unwrap();
        scene.sts().caller(&token.credentials.access_key_id).unwrap()
    };
    let policy = trust(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}));
    let visitor = take(json!({"Name": "visitor", "Policy": policy}));
    assert_eq!(visitor.arn().unwrap().as_str(), "arn:aws:sts::111122223333:federated-user/visitor");
    assert_eq!((scene.describe(&visitor), scene.list(&visitor)), (Ok(()), Ok(())));
    let create = scene.lab.kms().create_key(&visitor, CreateKey::default());
    assert_eq!(code(create), DENIED, "the user may not");
    let bare = take(json!({"Name": "visitor"}));
    assert_eq!(scene.list(&bare), Err(DENIED), "nothing was handed in");
    // Only a resource's policy that names the federated user itself lets it in then, and it lets no other in.
    let root = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kms:*", "Resource": "*"});
    let names = |user: &str| {
        let user = format!("arn:aws:sts::111122223333:federated-user/{user}");
        let allow = json!({"Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:DescribeKey",
            "Resource": "*"});
        let policy = trust(json!([root, allow]));
        let key =
            scene.lab.kms().create_key(&scene.lab.admin(), CreateKey::default().policy(policy)).unwrap().arn;
        let described = scene.lab.kms().describe_key(&bare, DescribeKey { key_id: key.into() });
        described.map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!((names("visitor"), names("other")), (Ok(()), Err(DENIED)));
}

#[test]
fn credentials_of_a_user_without_mfa_and_of_a_federated_user_reach_nothing_of_iam_and_little_of_sts() {
    let scene = Scene::delegating();
    let carol = scene.lab.user("carol", &["*"]).unwrap();
    let device = Device::of(&scene.lab, "carol");
    let of_session = |more: Value| {
        let token = scene.sts().call(&carol, &request::<GetSessionToken>(more)).unwrap();
        scene.sts().caller(&token.credentials.access_key_id).unwrap()
    };
    let all = trust(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let federated = request::<GetFederationToken>(json!({"Name": "visitor", "Policy": all}));
    let token = scene.sts().call(&carol, &federated).unwrap();
    let visitor = scene.sts().caller(&token.credentials.access_key_id).unwrap();
    let plain = of_session(json!({}));
    let with_mfa =
        of_session(json!({"SerialNumber": device.serial, "TokenCode": device.shows(&scene.lab, 1)}));
    let create = |who: &Caller, name: &str| {
        let user = scene.lab.keystore().iam().create_user(who, name.parse().unwrap(), Tags::default());
        user.map(|_| ()).map_err(|error| error.code())
    };
    let info = |who: &Caller| {
        let about = GetAccessKeyInfo { access_key_id: plain.access_key().unwrap().clone() };
        scene.sts().call(who, &about).map(|_| ()).map_err(|error| error.code())
    };
    for who in [&plain, &visitor] {
        assert_eq!(create(who, "mallory"), Err(ErrorCode::InvalidClientTokenId));
        assert_eq!(scene.list(who), Ok(()), "other services are open to them");
    }
    assert_eq!(create(&with_mfa, "dave"), Ok(()));
    for who in [&plain, &visitor, &with_mfa] {
        assert_eq!(info(who), Err(DENIED));
        assert!(scene.sts().call(who, &GetCallerIdentity {}).is_ok());
    }
    assert!(scene.assume(&plain, json!({})).is_ok());
    assert_eq!(code(scene.assume(&visitor, json!({}))), DENIED);
    assert_eq!(info(&carol), Ok(()), "lasting credentials reach everything");
}

#[test]
fn everybody_may_ask_who_they_are() {
    let scene = Scene::delegating();
    let deny = trust(json!({"Effect": "Deny", "Action": "*", "Resource": "*"}));
    let alice = scene.lab.user_with_policy("alice", &deny).unwrap();
    let who = scene.sts().call(&alice, &GetCallerIdentity {}).unwrap();
    assert_eq!(who.arn, *alice.arn().unwrap());
    assert!(who.user_id.starts_with("AIDA"));
    let carol = scene.lab.user("carol", &["sts:*"]).unwrap();
    let session = scene.assume(&carol, json!({})).unwrap();
    let who = scene.sts().call(&session, &GetCallerIdentity {}).unwrap();
    assert!(who.user_id.starts_with("AROA") && who.user_id.ends_with(":run-1"));
    let id = session.access_key().unwrap().clone();
    let info = scene.sts().call(&carol, &GetAccessKeyInfo { access_key_id: id.clone() }).unwrap();
    assert_eq!(info.account.as_str(), "111122223333");
    assert_eq!(code(scene.sts().call(&alice, &GetAccessKeyInfo { access_key_id: id })), DENIED);
}

#[test]
fn an_access_key_and_a_caller_must_belong_together() {
    let scene = Scene::delegating();
    let carol = scene.lab.user("carol", &["sts:*"]).unwrap();
    let session = scene.assume(&carol, json!({})).unwrap();
    let forged = carol.clone().with_access_key(session.access_key().unwrap().clone());
    assert_eq!(scene.list(&forged), Err(ErrorCode::InvalidClientTokenId));
    let unknown = carol.with_access_key("ASIAAAAAAAAAAAAAAAAA".parse().unwrap());
    assert_eq!(scene.list(&unknown), Err(ErrorCode::InvalidClientTokenId));
}

#[test]
fn records_tell_of_sessions_and_hold_no_secret() {
    let scene = Scene::delegating();
    let carol = scene.lab.user("carol", &["sts:*"]).unwrap();
    let call = AssumeRole::new(scene.role.clone(), "run-1".parse().unwrap());
    let assumed = scene.sts().call(&carol, &call).unwrap();
    let session = scene.sts().caller(&assumed.credentials.access_key_id).unwrap();
    scene.list(&session).unwrap();
    let records = scene.lab.keystore().audit_tail(&scene.lab.admin(), 2).unwrap();
    let text = serde_json::to_string(&records).unwrap();
    let secret = std::str::from_utf8(assumed.credentials.secret_access_key.expose_secret()).unwrap();
    assert!(!text.contains(secret) && !text.contains(&assumed.credentials.session_token));
    let [assume, list] = records.as_slice() else { panic!("two records") };
    assert_eq!((&*assume.event_name, assume.read_only), ("AssumeRole", true));
    let identity = &list.user_identity;
    assert_eq!(identity.access_key_id.as_deref(), Some(assumed.credentials.access_key_id.as_str()));
    let context = identity.session_context.as_ref().unwrap();
    assert_eq!(context.session_issuer.as_ref().unwrap().arn, scene.role);
    assert_eq!(context.attributes.as_ref().unwrap().mfa_authenticated, "false");
}

/// An identity provider with a key of its own.
struct Provider {
    key: jsonwebtoken::EncodingKey,
    jwks: String,
}

impl Provider {
    fn new() -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let part = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
        let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig",
            "x": part(&point[1..33]), "y": part(&point[33..])}]});
        Self { key: jsonwebtoken::EncodingKey::from_ec_der(pkcs8.as_ref()), jwks: jwks.to_string() }
    }

    fn token(&self, claims: Value) -> String {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("1".into());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

#[test]
fn an_identity_providers_word_opens_a_role_while_it_is_good() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/id.example.com";
    let scene = Scene::delegating();
    let issuer = Provider::new();
    let create =
        json!({"Url": "https://id.example.com", "ClientIDList": ["keystead"], "CustomJwks": issuer.jwks});
    let (iam, admin) = (scene.lab.keystore().iam(), scene.lab.admin());
    iam.call(&admin, &request::<CreateOpenIdConnectProvider>(create)).unwrap();
    scene.set_trust(json!({"Effect": "Allow", "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": {"StringEquals": {"id.example.com:sub": "runner-7", "id.example.com:aud": "keystead"}}}));
    let now = scene.lab.keystore().time().as_millis() / 1000;
    let claims = |more: Value| {
        let mut claims =
            json!({"iss": "https://id.example.com", "sub": "runner-7", "aud": "keystead", "exp": now + 300});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let anybody = Caller::web_identity(scene.role.account().clone());
    let assume = |token: String| {
        let call = json!({"RoleArn": scene.role, "RoleSessionName": "run-1", "WebIdentityToken": token});
        let assumed = scene.sts().call(&anybody, &request::<AssumeRoleWithWebIdentity>(call))?;
        scene.sts().caller(&assumed.credentials.access_key_id)
    };
    let session = assume(issuer.token(claims(json!({})))).unwrap();
    assert_eq!(scene.describe(&session), Ok(()));
    let tags = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["ml"]}}});
    assert!(assume(issuer.token(claims(tags))).is_ok());

    assert_eq!(code(assume(issuer.token(claims(json!({"sub": "runner-8"}))))), DENIED);
    let refused = |claims: Value| code(assume(issuer.token(claims)));
    assert_eq!(refused(claims(json!({"aud": "other"}))), ErrorCode::InvalidIdentityToken);
    assert_eq!(refused(claims(json!({"exp": now}))), ErrorCode::ExpiredToken);
    for not_before in [json!(now + 60), json!((now + 60).to_string()), json!(null)] {
        assert_eq!(refused(claims(json!({"nbf": not_before}))), ErrorCode::InvalidIdentityToken);
    }
    assert_eq!(refused(claims(json!({"iss": "https://other.example.com"}))), ErrorCode::InvalidIdentityToken);
    let two = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["ml", "red"]}}});
    assert_eq!(refused(claims(two)), ErrorCode::IdpRejectedClaim);
    assert_eq!(code(assume(Provider::new().token(claims(json!({}))))), ErrorCode::InvalidIdentityToken);
    // The records name whom a good token is about, of a denial too, and nobody where the token is not believed.
    let records = scene.lab.keystore().audit_tail(&admin, 99).unwrap();
    let by_anybody = records.iter().filter(|one| one.event_name == "AssumeRoleWithWebIdentity");
    let named: Vec<_> =
        by_anybody.map(|one| (one.user_identity.user_name.as_deref(), one.succeeded())).collect();
    assert_eq!(named[..3], [(Some("runner-7"), true), (Some("runner-7"), true), (Some("runner-8"), false)]);
    assert!(named[3..].iter().all(|one| *one == (None, false)), "{named:?}");
    let first = records.iter().find(|one| one.event_name == "AssumeRoleWithWebIdentity").unwrap();
    let identity = serde_json::to_value(&first.user_identity).unwrap();
    let expected = json!({"type": "WebIdentityUser", "principalId": format!("{provider}:keystead:runner-7"),
        "accountId": "111122223333", "userName": "runner-7", "identityProvider": provider});
    assert_eq!(identity, expected);

    // With a token one can do nothing else.
    assert_eq!(scene.list(&anybody), Err(DENIED));
    assert_eq!(scene.describe(&anybody), Err(DENIED));
    assert_eq!(code(scene.assume(&anybody, json!({}))), DENIED);
}
