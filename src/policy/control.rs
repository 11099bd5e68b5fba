//! What a service or resource control policy may say when a customer writes it.
//!
//! Source: "SCP syntax", "RCP syntax" and "Quotas for AWS Organizations" (Organizations user guide). AWS's own
//! `RCPFullAWSAccess` allows; a customer's resource control policy denies alone, what anybody does, in the services that
//! take such policies.

use serde_json::Value;

use super::{CONTROL_POLICY_CHARS_MAX, Policy, PolicyError, PolicyKind, Position, document::Effect};

/// The services whose actions a resource control policy may name ("List of AWS services that support RCPs").
pub const RCP_SERVICES: &[&str] = &[
    "aoss",
    "cognito-identity",
    "cognito-idp",
    "dynamodb",
    "ecr",
    "kms",
    "logs",
    "s3",
    "secretsmanager",
    "sqs",
    "sts",
];

impl Policy {
    /// Parses a control policy that a customer writes: as [`Policy::parse`], and with what AWS asks of these beside.
    ///
    /// # Errors
    ///
    /// As [`Policy::parse`]; when the text has more characters than a control policy may have, white space counted; when it
    /// does not say `"Version": "2012-10-17"`; and of a resource control policy when a statement allows, names actions by
    /// what they are not, or names them across services or of services that take no such policies.
    pub fn parse_control(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        let refuse = |message: String, at: Position| Err(PolicyError::new(message, at));
        let chars = text.chars().count();
        if chars > CONTROL_POLICY_CHARS_MAX {
            let message = format!(
                "the policy has {chars} characters, white space included; at most {CONTROL_POLICY_CHARS_MAX} are allowed"
            );
            return refuse(message, Position::START);
        }
        let policy = Self::parse(text, kind)?;
        let document: Option<Value> = serde_json::from_str(text).ok();
        let version = document.as_ref().and_then(|document| document.get("Version")).and_then(Value::as_str);
        if version != Some("2012-10-17") {
            let message = "a control policy must say `\"Version\": \"2012-10-17\"`";
            return refuse(message.into(), Position::START);
        }
        if kind != PolicyKind::Rcp {
            return Ok(policy);
        }
        for statement in &policy.statements {
            let start = statement.span.start;
            if statement.effect == Effect::Allow {
                return refuse(
                    "a resource control policy denies: `RCPFullAWSAccess` alone allows".into(),
                    start,
                );
            }
            let Some(actions) = &statement.actions else { continue };
            if actions.negated {
                return refuse(
                    "`NotAction` has no place in a resource control policy".into(),
                    actions.span.start,
                );
            }
            let foreign = actions.list.iter().find(|pattern| {
                let service = pattern.text.split(':').next().unwrap_or_default().to_ascii_lowercase();
                !RCP_SERVICES.contains(&service.as_str())
            });
            if let Some(pattern) = foreign {
                let message = format!(
                    "`{}` names no actions of a service that takes resource control policies: {}",
                    pattern.text,
                    RCP_SERVICES.join(", ")
                );
                return refuse(message, actions.span.start);
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, kind: PolicyKind) -> String {
        Policy::parse_control(text, kind).unwrap_err().to_string()
    }

    #[test]
    fn a_service_control_policy_names_no_principals_and_a_version() {
        let good = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "kms:ScheduleKeyDeletion",
            "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}}"#;
        assert!(Policy::parse_control(good, PolicyKind::Scp).is_ok());
        let principal = good.replace("\"Resource\"", "\"Principal\": \"*\", \"Resource\"");
        assert!(refused(&principal, PolicyKind::Scp).contains("`Principal` has no place"), "{principal}");
        assert!(refused(&good.replace("2012", "2008"), PolicyKind::Scp).contains("2012-10-17"));
        let unversioned = good.replace("\"Version\": \"2012-10-17\",", "");
        assert!(refused(&unversioned, PolicyKind::Scp).contains("2012-10-17"));
        let long = good.replace("\"Resource\"", &format!("{}\"Resource\"", " ".repeat(5_000)));
        assert!(refused(&long, PolicyKind::Scp).contains("white space included"));
    }

    #[test]
    fn a_resource_control_policy_denies_alone_and_what_anybody_does() {
        let good = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": ["kms:*", "S3:Get*"],
            "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-exampleorgid"}}}]}"#;
        assert!(Policy::parse_control(good, PolicyKind::Rcp).is_ok());
        for (from, to, says) in [
            ("\"Deny\"", "\"Allow\"", "alone allows"),
            ("\"Principal\": \"*\"", "\"Principal\": {\"AWS\": \"111122223333\"}", "the principal `*`"),
            ("\"Action\"", "\"NotAction\"", "`NotAction` has no place"),
            ("\"kms:*\"", "\"*\"", "`*` names no actions"),
            ("\"kms:*\"", "\"ec2:*\"", "`ec2:*` names no actions"),
            ("\"Resource\": \"*\",", "", "no `Resource`"),
        ] {
            let message = refused(&good.replace(from, to), PolicyKind::Rcp);
            assert!(message.contains(says), "{to}: {message}");
        }
    }
}
