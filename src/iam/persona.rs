//! Roles for teams that train and run models: who does what, and the least policy that lets them.
//!
//! A persona is a set of activities, and an activity is a statement: these actions, on this key or this bucket, under
//! these conditions. The table below is all there is to it; a user switches activities on and off before a role is made.
//! Source: "Best practices for IAM policies" (AWS KMS developer guide) and "Apply least-privilege permissions" (IAM user
//! guide): each statement names one key, never `kms:*`, and use and management are apart.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde_json::{Value, json};

use self::Persona::{Compute, DataScientist, MlOps};
use crate::model::{KeyArn, ParseError};

/// A kind of role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// Trains: reads and writes models, encrypts and decrypts with their key.
    DataScientist,
    /// Looks after keys and buckets, and opens nothing.
    MlOps,
    /// A training or inference job: uses the key through S3 alone.
    Compute,
}

const PERSONAS: [(Persona, &str, &str); 3] = [
    (DataScientist, "data-scientist", "reads and writes models, encrypts and decrypts with their key"),
    (MlOps, "mlops", "looks after the key and the bucket, and opens nothing"),
    (Compute, "compute", "a job that reads models and writes results, with the key through S3 alone"),
];

impl Persona {
    /// What who has this role does.
    #[must_use]
    pub fn about(self) -> &'static str {
        PERSONAS.iter().find(|(persona, ..)| *persona == self).map_or("", |(.., about)| about)
    }

    /// The activities that are on unless they are switched off; those on a bucket only `with_bucket`.
    #[must_use]
    pub fn activities(self, with_bucket: bool) -> BTreeSet<Activity> {
        let on = |activity: &Activity| activity.row().of.contains(&self);
        Activity::all().filter(|activity| on(activity) && (with_bucket || !activity.needs_bucket())).collect()
    }
}

impl fmt::Display for Persona {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str(PERSONAS.iter().find(|(persona, ..)| persona == self).map_or("", |(_, name, _)| name))
    }
}

impl FromStr for Persona {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = PERSONAS.iter().find(|(_, name, _)| *name == text).map(|(persona, ..)| *persona);
        found.ok_or_else(|| {
            ParseError::new(format!("`{text}` is no persona: there are data-scientist, mlops and compute"))
        })
    }
}

/// On what an activity's actions are allowed.
#[derive(Clone, Copy)]
enum On {
    Key,
    /// The key, in calls that S3 makes for the caller.
    KeyThroughS3,
    /// The key, its material deleted after the longest window only.
    KeyAfterTheLongestWindow,
    /// The key, for grants that allow cryptography alone.
    KeyForUse,
    Bucket,
    Objects,
    /// Actions that AWS allows on no resource in particular.
    Anything,
}

struct Row {
    name: &'static str,
    about: &'static str,
    actions: &'static [&'static str],
    on: On,
    /// Whose activity it is unless it is switched off.
    of: &'static [Persona],
}

const ACTIVITIES: [Row; 16] = [
    Row {
        name: "find-keys",
        about: "list keys and aliases",
        actions: &["kms:ListKeys", "kms:ListAliases"],
        on: On::Anything,
        of: &[DataScientist, MlOps],
    },
    Row {
        name: "describe-key",
        about: "see the key's facts",
        actions: &["kms:DescribeKey"],
        on: On::Key,
        of: &[DataScientist, MlOps, Compute],
    },
    Row {
        name: "encrypt",
        about: "seal with the key",
        actions: &["kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"],
        on: On::Key,
        of: &[DataScientist],
    },
    Row {
        name: "decrypt",
        about: "open what the key sealed",
        actions: &["kms:Decrypt"],
        on: On::Key,
        of: &[DataScientist],
    },
    Row {
        name: "encrypt-through-s3",
        about: "write objects under the key",
        actions: &["kms:GenerateDataKey"],
        on: On::KeyThroughS3,
        of: &[Compute],
    },
    Row {
        name: "decrypt-through-s3",
        about: "read objects under the key",
        actions: &["kms:Decrypt"],
        on: On::KeyThroughS3,
        of: &[Compute],
    },
    Row {
        name: "list-bucket",
        about: "list the bucket",
        actions: &["s3:ListBucket"],
        on: On::Bucket,
        of: &[DataScientist, MlOps, Compute],
    },
    Row {
        name: "read-objects",
        about: "read objects, as far as their keys let",
        actions: &["s3:GetObject"],
        on: On::Objects,
        of: &[DataScientist, Compute],
    },
    Row {
        name: "write-objects",
        about: "write objects",
        actions: &["s3:PutObject"],
        on: On::Objects,
        of: &[DataScientist, Compute],
    },
    Row {
        name: "delete-objects",
        about: "delete objects",
        actions: &["s3:DeleteObject"],
        on: On::Objects,
        of: &[MlOps],
    },
    Row {
        name: "rotate-key",
        about: "rotate the key, by hand or by schedule",
        actions: &[
            "kms:EnableKeyRotation",
            "kms:GetKeyRotationStatus",
            "kms:ListKeyRotations",
            "kms:RotateKeyOnDemand",
        ],
        on: On::Key,
        of: &[MlOps],
    },
    Row {
        name: "switch-key",
        about: "disable and enable the key",
        actions: &["kms:DisableKey", "kms:EnableKey"],
        on: On::Key,
        of: &[MlOps],
    },
    Row {
        name: "review-access",
        about: "read the key's policy, grants and last use",
        actions: &["kms:GetKeyLastUsage", "kms:GetKeyPolicy", "kms:ListGrants"],
        on: On::Key,
        of: &[MlOps],
    },
    Row {
        name: "review-log",
        about: "look events up",
        actions: &["cloudtrail:LookupEvents"],
        on: On::Anything,
        of: &[MlOps],
    },
    Row {
        name: "grant-use",
        about: "give others grants to use the key, and take them back",
        actions: &["kms:CreateGrant", "kms:RevokeGrant"],
        on: On::KeyForUse,
        of: &[],
    },
    Row {
        name: "delete-key",
        about: "have the key deleted after 30 days, and call it off",
        actions: &["kms:CancelKeyDeletion", "kms:ScheduleKeyDeletion"],
        on: On::KeyAfterTheLongestWindow,
        of: &[],
    },
];

/// What somebody may do, as one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Activity(usize);

impl Activity {
    /// All activities.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ACTIVITIES.len()).map(Self)
    }

    fn row(self) -> &'static Row {
        // INVARIANT: an activity is made of a place in the table alone.
        let [first, ..] = &ACTIVITIES;
        ACTIVITIES.get(self.0).unwrap_or(first)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.row().about
    }

    /// The actions that it allows.
    #[must_use]
    pub fn actions(self) -> &'static [&'static str] {
        self.row().actions
    }

    /// Whether it is about a bucket.
    #[must_use]
    pub fn needs_bucket(self) -> bool {
        matches!(self.row().on, On::Bucket | On::Objects)
    }

    /// `decrypt-through-s3` as a Sid: `DecryptThroughS3`.
    fn sid(self) -> String {
        let words = self.name().split('-');
        words
            .map(|word| {
                [word.get(..1).unwrap_or("").to_ascii_uppercase().as_str(), word.get(1..).unwrap_or("")]
                    .concat()
            })
            .collect()
    }

    fn statement(self, key: &KeyArn, bucket: &str) -> Value {
        let row = self.row();
        let (resource, condition) = match row.on {
            On::Key => (key.to_string(), None),
            On::KeyThroughS3 => {
                let s3 = format!("s3.{}.amazonaws.com", key.region());
                (key.to_string(), Some(json!({"StringEquals": {"kms:ViaService": s3}})))
            }
            // Written for one action, a condition on it would deny the others of the statement: IfExists leaves them be.
            On::KeyAfterTheLongestWindow => {
                let window = json!({"kms:ScheduleKeyDeletionPendingWindowInDays": "30"});
                (key.to_string(), Some(json!({"NumericEqualsIfExists": window})))
            }
            On::KeyForUse => {
                let use_only = json!(["Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey"]);
                let condition = json!({"ForAllValues:StringEquals": {"kms:GrantOperations": use_only}});
                (key.to_string(), Some(condition))
            }
            On::Bucket => (format!("arn:aws:s3:::{bucket}"), None),
            On::Objects => (format!("arn:aws:s3:::{bucket}/*"), None),
            On::Anything => ("*".into(), None),
        };
        let mut statement =
            json!({"Sid": self.sid(), "Effect": "Allow", "Action": row.actions, "Resource": resource});
        if let (Some(condition), Some(members)) = (condition, statement.as_object_mut()) {
            members.insert("Condition".into(), condition);
        }
        statement
    }
}

impl FromStr for Activity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::all().find(|activity| activity.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            ParseError::new(format!("`{text}` is no activity: there are {}", names.join(", ")))
        })
    }
}

/// The identity policy that allows these activities with a key and a bucket, and nothing else.
///
/// ```
/// use keystead::iam::{Activity, Persona, activities_policy};
///
/// let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
/// let policy = activities_policy(&Persona::DataScientist.activities(false), &key, None)?;
/// assert!(policy.to_string().contains("kms:Decrypt"));
/// # Ok::<(), keystead::model::ParseError>(())
/// ```
///
/// # Errors
///
/// When an activity is about a bucket and there is none, or when there are no activities.
pub fn activities_policy(
    activities: &BTreeSet<Activity>,
    key: &KeyArn,
    bucket: Option<&str>,
) -> Result<Value, ParseError> {
    if activities.is_empty() {
        return Err(ParseError::new("a role without any activity needs no policy: switch one on"));
    }
    if let (Some(activity), None) = (activities.iter().find(|activity| activity.needs_bucket()), bucket) {
        return Err(ParseError::new(format!("{} is about a bucket, and none is named", activity.name())));
    }
    let statements: Vec<Value> =
        activities.iter().map(|activity| activity.statement(key, bucket.unwrap_or_default())).collect();
    Ok(json!({"Version": "2012-10-17", "Statement": statements}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, PolicyKind};

    fn key() -> KeyArn {
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap()
    }

    #[test]
    fn every_persona_has_a_policy_of_its_own_that_names_one_key() {
        let mut seen = BTreeSet::new();
        for (persona, name, _) in PERSONAS {
            assert_eq!((name.parse(), persona.to_string().as_str()), (Ok(persona), name));
            for bucket in [None, Some("models")] {
                let activities = persona.activities(bucket.is_some());
                let text = activities_policy(&activities, &key(), bucket).unwrap().to_string();
                assert!(Policy::parse(&text, PolicyKind::INLINE_ROLE).is_ok(), "{text}");
                assert!(!text.contains("kms:*") && !text.contains("s3:*"), "{text}");
                assert_eq!(text.contains("arn:aws:s3:::models"), bucket.is_some());
                assert!(seen.insert(text));
            }
        }
        assert!("intern".parse::<Persona>().is_err());
    }

    #[test]
    fn use_and_management_are_apart() {
        let actions = |persona: Persona| -> Vec<&str> {
            persona.activities(true).iter().flat_map(|activity| activity.actions()).copied().collect()
        };
        assert!(!actions(MlOps).iter().any(|action| ["kms:Decrypt", "s3:GetObject"].contains(action)));
        assert!(!actions(DataScientist).contains(&"kms:DisableKey"));
        for persona in [DataScientist, MlOps, Compute] {
            assert!(!actions(persona).contains(&"kms:ScheduleKeyDeletion"), "{persona}");
        }
    }

    #[test]
    fn each_activity_makes_a_statement_that_is_accepted() {
        for activity in Activity::all() {
            assert_eq!(activity.name().parse(), Ok(activity));
            let one = BTreeSet::from([activity]);
            let text = activities_policy(&one, &key(), Some("models")).unwrap().to_string();
            assert!(Policy::parse(&text, PolicyKind::INLINE_ROLE).is_ok(), "{text}");
            assert_eq!(activities_policy(&one, &key(), None).is_err(), activity.needs_bucket());
        }
        assert!(activities_policy(&BTreeSet::new(), &key(), None).is_err());
        assert!("dance".parse::<Activity>().is_err());
    }
}
