//! Accounts beside the keystore's own: CreateAccount, and AssumeRoot to work in them.
//!
//! The keystore's account is the management account of its organization, and no other can make accounts. At AWS the
//! service chooses the id and the work takes minutes; here the caller chooses and it is done. Source: AWS Organizations
//! API reference, CreateAccount; STS API reference, AssumeRoot.

use serde_json::{Value, json};

use crate::{
    audit::ResourceEntry,
    kms::{Call, CallError, Caller, Door, Operation, Outcome, actions},
    model::{AccountId, ErrorCode, PrincipalArn},
    world::{Account, Change},
};

actions! {
    /// `organizations:CreateAccount`.
    CreateAccountPermission = "organizations:CreateAccount",
    /// `sts:AssumeRoot`.
    AssumeRootPermission = "sts:AssumeRoot",
}

/// The longest account name in characters (Organizations API, CreateAccount).
pub const ACCOUNT_NAME_CHARS_MAX: usize = 50;

/// The organization of a keystore.
#[derive(Clone, Copy)]
#[must_use]
pub struct Organizations<'k> {
    door: &'k Door,
}

impl<'k> Organizations<'k> {
    pub(crate) fn new(door: &'k Door) -> Self {
        Self { door }
    }

    /// Makes an account beside the keystore's own. Its root user can call from then on.
    ///
    /// # Errors
    ///
    /// When the caller may not or belongs to another account than the keystore's own, or there is such an account.
    pub fn create_account(
        &self,
        caller: &Caller,
        account_id: AccountId,
        account_name: &str,
    ) -> Result<(), CallError> {
        self.door.call(caller, &CreateAccount { account_id, account_name: account_name.into() })
    }
}

impl Organizations<'_> {
    /// Becomes the root user of another account of the organization.
    ///
    /// # Errors
    ///
    /// When the caller may not or belongs to another account than the keystore's own, or there is no such account.
    pub fn assume_root(&self, caller: &Caller, account: AccountId) -> Result<Caller, CallError> {
        self.door.call(caller, &AssumeRoot { account })
    }
}

/// Becomes the root user of another account of the organization.
#[derive(Debug)]
pub struct AssumeRoot {
    /// The account.
    pub account: AccountId,
}

impl Operation for AssumeRoot {
    type Permission = AssumeRootPermission;
    type Answer = Caller;
    const NAME: &'static str = "AssumeRoot";
    const EVENT_SOURCE: &'static str = "sts.amazonaws.com";
    const READ_ONLY: bool = true;

    fn request_parameters(&self) -> Value {
        json!({"targetPrincipal": PrincipalArn::root(&self.account)})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        if self.account == call.account() || !call.world().has_account(&self.account) {
            return Err(CallError::validation(format!("{} is no member account", self.account)));
        }
        Ok(Outcome::answer(permitted, Caller::local(PrincipalArn::root(&self.account))))
    }
}

/// Makes an account beside the keystore's own.
#[derive(Debug)]
pub struct CreateAccount {
    /// Its id.
    pub account_id: AccountId,
    /// What its owner calls it: 1 to [`ACCOUNT_NAME_CHARS_MAX`] characters.
    pub account_name: String,
}

impl Operation for CreateAccount {
    type Permission = CreateAccountPermission;
    type Answer = ();
    const NAME: &'static str = "CreateAccount";
    const EVENT_SOURCE: &'static str = "organizations.amazonaws.com";
    const READ_ONLY: bool = false;

    fn request_parameters(&self) -> Value {
        json!({"accountId": self.account_id, "accountName": self.account_name})
    }

    fn run(&self, call: &mut Call<'_>) -> Result<Outcome<Self>, CallError> {
        let management = call.world().settings().account.clone();
        let permitted = call.authorize_any::<Self::Permission>()?;
        call.require_management_account()?;
        if self.account_id.is_of_the_services() {
            return Err(CallError::validation("this account is the services' own"));
        }
        if !(1..=ACCOUNT_NAME_CHARS_MAX).contains(&self.account_name.chars().count()) {
            let message = format!("an account's name has 1 to {ACCOUNT_NAME_CHARS_MAX} characters");
            return Err(CallError::validation(message));
        }
        if call.world().has_account(&self.account_id) {
            let message = format!("The account {} exists already.", self.account_id);
            return Err(CallError::new(ErrorCode::EntityAlreadyExists, message));
        }
        call.note(ResourceEntry {
            account_id: management.clone(),
            resource_type: "AWS::Organizations::Account".into(),
            arn: format!("arn:aws:organizations::{management}:account/{}", self.account_id),
        });
        let account =
            Account { id: self.account_id.clone(), name: self.account_name.clone(), created: call.now() };
        let elements = json!({"createAccountStatus": {"accountId": account.id, "state": "SUCCEEDED"}});
        Ok(Outcome::answer(permitted, ()).changing(vec![Change::PutAccount(account)], elements))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        kms::{Caller, ListKeys},
        model::{AccountId, ErrorCode, PrincipalArn},
        testing::Lab,
    };

    #[test]
    fn an_account_is_made_by_the_management_account_alone_and_then_its_root_can_call() {
        let lab = Lab::new().unwrap();
        let organizations = lab.keystore().organizations();
        let (partner, third): (AccountId, AccountId) =
            ("444455556666".parse().unwrap(), "777788889999".parse().unwrap());
        let root = Caller::local(PrincipalArn::root(&partner));
        let nobody = lab.kms().list_keys(&root, ListKeys::default()).unwrap_err();
        assert_eq!(nobody.code(), ErrorCode::InvalidClientTokenId);

        let alice = lab.user("alice", &["kms:*"]).unwrap();
        let denied = organizations.create_account(&alice, partner.clone(), "partner").unwrap_err();
        assert_eq!(denied.code(), ErrorCode::AccessDenied);
        organizations.create_account(&lab.admin(), partner.clone(), "partner").unwrap();
        assert!(lab.kms().list_keys(&root, ListKeys::default()).unwrap().is_empty());

        let again = organizations.create_account(&lab.admin(), partner, "partner").unwrap_err();
        assert_eq!(again.code(), ErrorCode::EntityAlreadyExists);
        let theirs = organizations.create_account(&root, third.clone(), "third").unwrap_err();
        assert_eq!(theirs.code(), ErrorCode::AccessDenied);
        let nameless = organizations.create_account(&lab.admin(), third, "").unwrap_err();
        assert_eq!(nameless.code(), ErrorCode::Validation);
    }

    #[test]
    fn what_concerns_the_whole_keystore_is_the_management_accounts_alone() {
        let lab = Lab::new().unwrap();
        let (keystore, partner): (_, AccountId) = (lab.keystore(), "444455556666".parse().unwrap());
        keystore.organizations().create_account(&lab.admin(), partner.clone(), "partner").unwrap();
        let root = keystore.organizations().assume_root(&lab.admin(), partner.clone()).unwrap();
        let code = |error: crate::kms::CallError| error.code();
        assert_eq!(
            keystore.advance_clock(&root, crate::model::Days::new(1)).map_err(code),
            Err(ErrorCode::AccessDenied)
        );
        let home = lab.admin().account();
        let home_root = keystore.organizations().assume_root(&root, home.clone());
        assert_eq!(home_root.map_err(code), Err(ErrorCode::AccessDenied));
        for no_member in [home, "999988887777".parse().unwrap(), AccountId::of_the_services()] {
            let refused = keystore.organizations().assume_root(&lab.admin(), no_member);
            assert_eq!(refused.map_err(code), Err(ErrorCode::Validation));
        }
        // Each account reads its own records.
        lab.kms().list_keys(&root, ListKeys::default()).unwrap();
        let theirs = keystore.audit_tail(&root, 100).unwrap();
        assert!(!theirs.is_empty() && theirs.iter().all(|event| event.recipient_account_id == partner));
        let ours = keystore.audit_tail(&lab.admin(), 3).unwrap();
        assert!(ours.len() == 3 && ours.iter().all(|event| event.recipient_account_id != partner));
    }

    #[test]
    fn whether_another_accounts_key_exists_is_not_told() {
        let lab = Lab::new().unwrap();
        let partner: AccountId = "444455556666".parse().unwrap();
        lab.keystore().organizations().create_account(&lab.admin(), partner.clone(), "partner").unwrap();
        let root = Caller::local(PrincipalArn::root(&partner));
        let there = lab.key().unwrap().to_string();
        let missing =
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned();
        let words = |arn: &str| {
            let described =
                lab.kms().describe_key(&root, crate::kms::DescribeKey { key_id: arn.parse().unwrap() });
            let listed =
                lab.kms().call(&root, &crate::kms::ListAliases { key_id: Some(arn.parse().unwrap()) });
            let disabled =
                lab.kms().disable_key(&root, crate::kms::DisableKey { key_id: arn.parse().unwrap() });
            [described.unwrap_err(), listed.unwrap_err(), disabled.unwrap_err()]
                .map(|e| e.to_string().replace(arn, "ARN"))
        };
        assert_eq!(words(&there), words(&missing));

        // Nor by an alias, nor by the record of the denial.
        let alias: crate::model::AliasName = "alias/there".parse().unwrap();
        let target_key_id = there.parse().unwrap();
        let create = crate::kms::CreateAlias { alias_name: alias.clone(), target_key_id };
        lab.kms().create_alias(&lab.admin(), create).unwrap();
        let prefix = "arn:aws:kms:us-east-1:111122223333:";
        assert_eq!(words(&format!("{prefix}{alias}")), words(&format!("{prefix}alias/missing")));
        let denials = lab.keystore().audit_tail(&root, 12).unwrap();
        assert!(denials.iter().all(|denial| denial.resources.is_empty() && denial.error_code.is_some()));
    }
}
