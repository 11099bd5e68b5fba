//! The authority by way of the door: who may, who may not, and what stays wrapped.

use super::{CERTIFICATE_DAYS, CERTIFICATE_DAYS_MAX, IssueCertificate, KeptServer, Mutual};
use crate::{
    audit::Record,
    iam::UserName,
    kms::{CallError, Caller},
    model::{CertificateNames, Days, ErrorCode, PrincipalArn, RevocationReason, Tags},
    services::iam::DeleteUser,
    testing::Lab,
    transit::{HolderKey, Now, Options, Peer, x509},
    world::{Certificate, CertificateStatus},
};

const TEN_YEARS: Days = Days::new(3650);

fn lab() -> Lab {
    let lab = Lab::new().unwrap();
    lab.keystore().tls().create_authority(&lab.admin(), TEN_YEARS).unwrap();
    lab
}

fn issue(lab: &Lab, caller: &Caller, names: CertificateNames, days: Days) -> Result<Certificate, CallError> {
    let request = HolderKey::generate().unwrap().request().to_vec();
    lab.keystore().tls().issue(caller, IssueCertificate { request, names, validity: days })
}

fn of(caller: &Caller) -> CertificateNames {
    CertificateNames::of_principal(caller.arn().unwrap().clone())
}

fn code<T: std::fmt::Debug>(result: Result<T, CallError>) -> ErrorCode {
    result.unwrap_err().code()
}

fn records(lab: &Lab) -> Vec<Record> {
    lab.keystore().audit_tail(&lab.admin(), 50).unwrap()
}

#[test]
fn an_account_has_one_authority_and_its_key_is_nowhere_in_clear() {
    let lab = Lab::new().unwrap();
    let (tls, admin) = (lab.keystore().tls(), lab.admin());
    assert_eq!(code(tls.authority(&admin)), ErrorCode::ResourceNotFound);
    assert_eq!(code(tls.revocation_list(&admin)), ErrorCode::ResourceNotFound);
    for days in [0, 36_526] {
        assert_eq!(code(tls.create_authority(&admin, Days::new(days))), ErrorCode::Validation);
    }
    let authority = tls.create_authority(&admin, TEN_YEARS).unwrap();
    assert_eq!(code(tls.create_authority(&admin, TEN_YEARS)), ErrorCode::AlreadyExists);
    assert_eq!(tls.authority(&admin).unwrap(), authority);
    // PKCS #8 of a P-256 key names its curve; what is wrapped does not.
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    assert!(!authority.wrapped_key.windows(8).any(|part| part == curve));
    assert!(authority.certificate.windows(8).any(|part| part == curve));
}

#[test]
fn a_certificate_says_what_was_asked_and_is_recorded() {
    let lab = lab();
    let alice = lab.user("alice", &["kms:*"]).unwrap();
    let issued = issue(&lab, &lab.admin(), of(&alice), CERTIFICATE_DAYS).unwrap();
    let (serial, names) = x509::read_names(&issued.certificate).unwrap();
    assert_eq!((&serial, &names), (&issued.serial, &of(&alice)));
    let tls = lab.keystore().tls();
    assert_eq!(tls.list(&lab.admin()).unwrap(), std::slice::from_ref(&issued));
    assert_eq!(tls.certificate(&lab.admin(), serial.clone()).unwrap(), issued);
    let record = records(&lab).into_iter().find(|one| one.event_name == "IssueCertificate").unwrap();
    assert_eq!(record.event_source, "acm-pca.amazonaws.com");
    assert_eq!(record.response_elements["serial"], serial.as_str());
    assert_eq!(record.resources.len(), 1);
}

#[test]
fn whoever_may_not_gets_nothing() {
    let lab = lab();
    let alice = lab.user("alice", &["kms:*"]).unwrap();
    let issued = issue(&lab, &lab.admin(), of(&alice), CERTIFICATE_DAYS).unwrap();
    let tls = lab.keystore().tls();
    assert_eq!(code(issue(&lab, &alice, of(&alice), CERTIFICATE_DAYS)), ErrorCode::AccessDenied);
    assert_eq!(code(tls.list(&alice)), ErrorCode::AccessDenied);
    assert_eq!(code(tls.certificate(&alice, issued.serial.clone())), ErrorCode::AccessDenied);
    assert_eq!(code(tls.revocation_list(&alice)), ErrorCode::AccessDenied);
    assert_eq!(code(tls.authority(&alice)), ErrorCode::AccessDenied);
    assert_eq!(code(tls.create_authority(&alice, TEN_YEARS)), ErrorCode::AccessDenied);
    let revoke = tls.revoke(&alice, issued.serial, RevocationReason::KeyCompromise);
    assert_eq!(code(revoke), ErrorCode::AccessDenied);

    let issuer = lab.user("issuer", &["acm-pca:IssueCertificate"]).unwrap();
    assert!(issue(&lab, &issuer, of(&alice), CERTIFICATE_DAYS).is_ok());
    assert_eq!(code(tls.list(&issuer)), ErrorCode::AccessDenied);
}

#[test]
fn only_who_exists_is_certified_and_for_no_longer_than_may_be() {
    let lab = lab();
    let admin = lab.admin();
    let nobody: PrincipalArn = "arn:aws:iam::111122223333:user/nobody".parse().unwrap();
    let elsewhere: PrincipalArn = "arn:aws:iam::444455556666:root".parse().unwrap();
    for principal in [nobody, elsewhere] {
        let names = CertificateNames::of_principal(principal);
        assert_eq!(code(issue(&lab, &admin, names, CERTIFICATE_DAYS)), ErrorCode::NoSuchEntity);
    }
    let unnamed = issue(&lab, &admin, CertificateNames::default(), CERTIFICATE_DAYS);
    assert_eq!(code(unnamed), ErrorCode::Validation);
    for days in [0, CERTIFICATE_DAYS_MAX.get() + 1] {
        assert_eq!(code(issue(&lab, &admin, of(&admin), Days::new(days))), ErrorCode::Validation);
    }
    let request = vec![0; 100];
    let malformed = IssueCertificate { request, names: of(&admin), validity: CERTIFICATE_DAYS };
    assert_eq!(code(lab.keystore().tls().issue(&admin, malformed)), ErrorCode::MalformedCsr);
    lab.advance(3600);
    let beyond = issue(&lab, &admin, of(&admin), Days::new(100));
    assert_eq!(code(beyond), ErrorCode::Validation, "longer than the authority itself");
}

#[test]
fn a_certificate_does_not_pass_to_whoever_comes_later_under_the_same_name() {
    let lab = lab();
    let (tls, admin) = (lab.keystore().tls(), lab.admin());
    let name: UserName = "alice".parse().unwrap();
    lab.keystore().iam().create_user(&admin, name.clone(), Tags::default()).unwrap();
    let alice = lab.keystore().caller("user/alice").unwrap();
    let peer_of = |issued: &Certificate| Peer::read(&issued.certificate).unwrap();
    let older = peer_of(&issue(&lab, &admin, of(&alice), CERTIFICATE_DAYS).unwrap());
    assert_eq!(tls.caller(&older).unwrap().arn(), alice.arn());
    let root = Caller::local(PrincipalArn::root(&"111122223333".parse().unwrap()));
    let of_root = peer_of(&issue(&lab, &admin, of(&root), CERTIFICATE_DAYS).unwrap());
    assert_eq!(tls.caller(&of_root).unwrap().arn(), root.arn());

    lab.keystore().iam().call(&admin, &DeleteUser { user_name: name.clone() }).unwrap();
    assert_eq!(code(tls.caller(&older)), ErrorCode::InvalidClientTokenId);
    lab.keystore().iam().create_user(&admin, name, Tags::default()).unwrap();
    assert_eq!(code(tls.caller(&older)), ErrorCode::InvalidClientTokenId);
    let newer = peer_of(&issue(&lab, &admin, of(&alice), CERTIFICATE_DAYS).unwrap());
    assert_eq!(tls.caller(&newer).unwrap().arn(), alice.arn());
}

#[test]
fn a_revoked_certificate_stays_revoked() {
    let lab = lab();
    let (tls, admin) = (lab.keystore().tls(), lab.admin());
    let issued = issue(&lab, &admin, of(&admin), CERTIFICATE_DAYS).unwrap();
    let before = tls.revocation_list(&admin).unwrap();
    let revoked = tls.revoke(&admin, issued.serial.clone(), RevocationReason::Superseded).unwrap();
    assert_eq!(revoked.status(lab.keystore().time()), CertificateStatus::Revoked);
    let again = tls.revoke(&admin, issued.serial.clone(), RevocationReason::Superseded);
    assert_eq!(code(again), ErrorCode::RequestAlreadyProcessed);
    let after = tls.revocation_list(&admin).unwrap();
    let has = |list: &[u8]| list.windows(16).any(|part| part == issued.serial.to_bytes());
    assert!(!has(&before) && has(&after));
    let unknown = "4".repeat(32).parse().unwrap();
    let unknown = tls.revoke(&admin, unknown, RevocationReason::Unspecified);
    assert_eq!(code(unknown), ErrorCode::ResourceNotFound);
}

#[test]
fn a_servers_certificate_and_list_are_made_anew_before_their_end() {
    let lab = lab();
    let (tls, admin) = (lab.keystore().tls(), lab.admin());
    let names = CertificateNames::of_host("localhost".parse().unwrap());
    let at = lab.keystore().time();
    let kept = |mutual| {
        let now = Now::new(move || at);
        KeptServer::new(tls, &admin, names.clone(), Days::new(30), mutual, now, &Options::default()).unwrap()
    };
    let (mutual, open) = (kept(Mutual::Yes), kept(Mutual::No));
    let issued = || tls.list(&admin).unwrap().len();
    let renewed = |kept: &KeptServer| kept.renew_if_due(tls, &admin, lab.keystore().time()).unwrap();
    assert_eq!((renewed(&mutual), renewed(&open), issued()), (false, false, 2));
    // The list after a day, the certificate when a third of its life is left.
    lab.advance(1);
    assert_eq!((renewed(&mutual), renewed(&open), issued()), (true, false, 2));
    assert!(!renewed(&mutual));
    lab.advance(19);
    assert_eq!((renewed(&mutual), renewed(&open), issued()), (true, true, 4));
    assert_eq!((renewed(&mutual), renewed(&open), issued()), (false, false, 4));

    // Who may not issue keeps what there was.
    lab.advance(20);
    let alice = lab.user("alice", &["kms:*"]).unwrap();
    let denied = open.renew_if_due(tls, &alice, lab.keystore().time());
    assert_eq!(code(denied), ErrorCode::AccessDenied);
    assert!(renewed(&open));
}
