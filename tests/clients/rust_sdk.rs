//! The AWS SDK for Rust: what the administrator may, and bob may not.

use std::{fmt::Debug, fs, path::Path};

use aws_sdk_kms::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{DataKeySpec, KeyState},
};

use crate::endpoint::{KEY_ARN, Served, keystead, lab_keystore, run};

fn client(served: &Served, (id, secret): &(String, String)) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&served.endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The code of the error that a call was answered.
fn code<T: Debug, E: ProvideErrorMetadata + Debug>(answer: Result<T, SdkError<E>>) -> String {
    let error = answer.expect_err("the call is refused");
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or_else(|| panic!("{error:?}"))
        .to_owned()
}

fn administrator(place: &Path) -> (String, String) {
    let profile = fs::read_to_string(place.join("credentials")).unwrap();
    let value = |name: &str| {
        profile.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap().to_owned()
    };
    (value("aws_access_key_id"), value("aws_secret_access_key"))
}

fn bob(place: &Path) -> (String, String) {
    let mut command = keystead(&["iam", "create-access-key", "--user-name", "bob", "--json", "--keystore"]);
    let made: serde_json::Value = serde_json::from_str(&run(command.arg(place.join("keystore")))).unwrap();
    let value = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    (value("AccessKeyId"), value("SecretAccessKey"))
}

#[test]
fn the_rust_sdk_is_answered_and_denied() {
    let place = tempfile::tempdir().unwrap();
    lab_keystore(place.path());
    let of_bob = bob(place.path());
    let served = Served::start(place.path());
    let (admin, bob) = (client(&served, &administrator(place.path())), client(&served, &of_bob));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        life_of_a_key(&admin).await;
        denied(&bob).await;
    });
}

async fn life_of_a_key(admin: &Client) {
    let made = admin.create_key().description("of the SDK").send().await.unwrap();
    let key = made.key_metadata.unwrap().arn.unwrap();
    admin.create_alias().alias_name("alias/rust").target_key_id(&key).send().await.unwrap();
    let sealed = admin
        .encrypt()
        .key_id("alias/rust")
        .plaintext(Blob::new("weights"))
        .encryption_context("project", "tour")
        .send()
        .await
        .unwrap();
    let blob = sealed.ciphertext_blob.unwrap();
    let open =
        |project: &str| admin.decrypt().ciphertext_blob(blob.clone()).encryption_context("project", project);
    let opened = open("tour").send().await.unwrap();
    assert_eq!(opened.plaintext.unwrap().as_ref(), b"weights");
    assert_eq!(opened.key_id.as_deref(), Some(key.as_str()));
    assert_eq!(code(open("other").send().await), "InvalidCiphertextException");
    let data_key = admin.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256).send().await.unwrap();
    assert_eq!(data_key.plaintext.unwrap().as_ref().len(), 32);

    let mut pages = admin.list_keys().limit(1).into_paginator().items().send();
    let mut listed = Vec::new();
    while let Some(entry) = pages.next().await {
        listed.push(entry.unwrap().key_arn.unwrap());
    }
    assert!(listed.len() > 1 && listed.contains(&key), "{listed:?}");

    admin.disable_key().key_id(&key).send().await.unwrap();
    let refused = open("tour").send().await.unwrap_err().into_service_error();
    assert!(refused.is_disabled_exception(), "{refused:?}");
    admin.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await.unwrap();
    let described = admin.describe_key().key_id(&key).send().await.unwrap().key_metadata.unwrap();
    assert_eq!(described.key_state, Some(KeyState::PendingDeletion));
    assert!(described.deletion_date.is_some());
    assert_eq!(code(admin.describe_key().key_id("alias/nosuch").send().await), "NotFoundException");
}

async fn denied(bob: &Client) {
    let text = || Blob::new("weights");
    let codes = [
        code(bob.create_key().send().await),
        code(bob.create_alias().alias_name("alias/bob").target_key_id(KEY_ARN).send().await),
        code(bob.encrypt().key_id(KEY_ARN).plaintext(text()).send().await),
        code(bob.generate_data_key().key_id(KEY_ARN).key_spec(DataKeySpec::Aes256).send().await),
        code(bob.list_keys().send().await),
        code(bob.disable_key().key_id(KEY_ARN).send().await),
        code(bob.schedule_key_deletion().key_id(KEY_ARN).send().await),
    ];
    assert!(codes.iter().all(|code| code == "AccessDeniedException"), "{codes:?}");
}
