//! `keystead iam create-role --persona …`: a role for a model team, with the least policy that its activities need.

use std::collections::BTreeSet;

use clap::{Args, FromArgMatches};
use serde_json::{Map, Value, json};

use super::{error::CommandError, global::Global, output, query::Chosen};
use crate::{
    iam::{Activity, Persona, activities_policy},
    keystore::Keystore,
    kms::{Caller, DescribeKey},
    model::{AccountId, KeyRef},
    services::iam::OPERATIONS,
    world::BucketName,
};

/// The flag that makes a role's making one of a persona.
pub(super) const PERSONA: &str = "persona";
/// The name of the inline policy that a persona's role has.
const POLICY_NAME: &str = "activities";

// What `create-role` takes beside AWS's parameters. (A doc comment here would be the help text of the whole command.)
#[derive(Debug, Args)]
pub(super) struct PersonaArgs {
    /// Give the role the least policy for a data-scientist, mlops or compute: their activities, with --key and --bucket
    #[arg(long, value_name = "PERSONA", requires = "key")]
    persona: Option<Persona>,
    /// With --persona: the models' key
    #[arg(long, value_name = "KEY", requires = PERSONA)]
    key: Option<KeyRef>,
    /// With --persona: the models' bucket; without it there are no activities on one
    #[arg(long, value_name = "BUCKET", requires = PERSONA)]
    bucket: Option<BucketName>,
    /// With --persona: switch an activity on; repeatable
    #[arg(long, value_name = "ACTIVITY", requires = PERSONA)]
    enable: Vec<Activity>,
    /// With --persona: switch an activity off; repeatable
    #[arg(long, value_name = "ACTIVITY", requires = PERSONA)]
    disable: Vec<Activity>,
    /// With --persona: print the table of activities and the policy, and make nothing
    #[arg(long, requires = PERSONA)]
    print: bool,
}

/// A role to be made for a persona.
#[derive(Debug)]
pub(super) struct CreatePersonaRole {
    chosen: Chosen,
    persona: Persona,
    key: KeyRef,
    arguments: PersonaArgs,
}

impl CreatePersonaRole {
    /// What was chosen, when it was a persona.
    pub(super) fn of(
        matches: &clap::ArgMatches,
        chosen: Chosen,
    ) -> Result<Result<Self, Chosen>, clap::Error> {
        let arguments = PersonaArgs::from_arg_matches(matches)?;
        Ok(match (arguments.persona, arguments.key.clone()) {
            (Some(persona), Some(key)) => Ok(Self { chosen, persona, key, arguments }),
            _ => Err(chosen),
        })
    }

    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let bucket = self.arguments.bucket.as_ref().map(ToString::to_string);
        let mut activities = self.persona.activities(bucket.is_some());
        activities.extend(&self.arguments.enable);
        for activity in &self.arguments.disable {
            activities.remove(activity);
        }
        let key = keystore.kms().describe_key(&caller, DescribeKey { key_id: self.key.clone() })?.arn;
        let policy = activities_policy(&activities, &key, bucket.as_deref()).map_err(|error| {
            CommandError::usage(error.to_string())
                .hint("name the bucket with `--bucket`, or switch activities on and off with `--enable` and `--disable`")
        })?;
        if self.arguments.print {
            return self.print(&activities, &policy, self.chosen.json());
        }
        self.make(&keystore, &caller, &policy)
    }

    /// The table of activities, and the policy that they come to.
    fn print(&self, on: &BTreeSet<Activity>, policy: &Value, json: bool) -> Result<(), CommandError> {
        if json {
            return output::json(policy);
        }
        output::say(&format!("{}: {}", self.persona, self.persona.about()));
        let row = |activity: Activity| {
            let mark = if on.contains(&activity) { "on" } else { "off" };
            vec![activity.name().to_owned(), mark.to_owned(), activity.about().to_owned()]
        };
        output::table(&["ACTIVITY", "", "WHAT"], Activity::all().map(row))?;
        output::line("")?;
        Ok(output::lines(&serde_json::to_string_pretty(policy).map_err(std::io::Error::from)?)?)
    }

    /// Makes the role and puts the policy on it, as two calls that the caller must be allowed both.
    fn make(&self, keystore: &Keystore, caller: &Caller, policy: &Value) -> Result<(), CommandError> {
        let name = self.chosen.text("RoleName").unwrap_or_default().to_owned();
        self.chosen.call_with(keystore, caller, "AssumeRolePolicyDocument", trust(caller.account()))?;
        let put = OPERATIONS.iter().find(|operation| operation.name == "PutRolePolicy");
        let put = put.ok_or_else(|| CommandError::usage("there is no PutRolePolicy"))?;
        let parameters = Map::from_iter([
            ("RoleName".to_owned(), json!(name)),
            ("PolicyName".to_owned(), json!(POLICY_NAME)),
            ("PolicyDocument".to_owned(), json!(policy.to_string())),
        ]);
        put.call(keystore.kms(), caller, parameters).map_err(|error| {
            CommandError::from(error).hint(format!(
                "the role {name} is made and has no policy: `keystead iam delete-role --role-name {name}`"
            ))
        })?;
        output::say(&format!(
            "its policy `{POLICY_NAME}` is that of the persona {}: see it with `keystead iam get-role-policy --role-name {name} \
             --policy-name {POLICY_NAME}`",
            self.persona
        ));
        if self.arguments.bucket.is_none() && self.persona.activities(true) != self.persona.activities(false)
        {
            output::say("its activities on a bucket are off: they need to know which, by `--bucket`");
        }
        Ok(())
    }
}

/// A trust policy that leaves it to the account's identity policies who may assume the role.
fn trust(account: AccountId) -> Value {
    let root = format!("arn:aws:iam::{account}:root");
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"});
    json!(json!({"Version": "2012-10-17", "Statement": statement}).to_string())
}
