//! IAM and STS over the query protocol: the tables of operations that `keystead iam` and `keystead sts` have too, fed from
//! a form.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{QueryService, form::Form, xml};
use crate::{
    api::error::{Protocol, WireError},
    kms::{Caller, Kms},
    services::{
        iam,
        query::{OperationEntry, Parameter, Reply, Shape},
        sts,
    },
};

/// The operation of this name.
#[must_use]
pub fn find(service: QueryService, action: &str) -> Option<&'static OperationEntry> {
    let operations = match service {
        QueryService::Iam => iam::OPERATIONS,
        QueryService::Sts => sts::OPERATIONS,
    };
    operations.iter().find(|entry| entry.name == action)
}

/// Makes the call that a form asks for and writes its answer. It waits for the audit record.
///
/// # Errors
///
/// What the operation answers, as the service names it.
pub fn call(
    service: QueryService,
    entry: &OperationEntry,
    door: Kms<'_>,
    caller: &Caller,
    form: &Form,
    request_id: &str,
) -> Result<String, WireError> {
    let mut parameters = Map::new();
    for parameter in entry.parameters {
        if let Some(value) = read(parameter, form)? {
            parameters.insert(parameter.name.to_owned(), value);
        }
    }
    let reply =
        entry.call(door, caller, parameters).map_err(|error| WireError::of_call(&error, Protocol::Query))?;
    Ok(xml::answer(service.namespace(), entry.name, &result(reply), request_id))
}

/// The value of a parameter, in the shape that its operation takes.
fn read(parameter: &Parameter, form: &Form) -> Result<Option<Value>, WireError> {
    let name = parameter.name;
    let invalid = |what: &str| WireError::new("ValidationError", format!("{name} must be {what}"));
    Ok(match parameter.shape {
        Shape::Text | Shape::Document | Shape::Token => form.get(name).map(Value::from),
        Shape::Number => match form.get(name) {
            None => None,
            Some(text) => Some(json!(text.parse::<i64>().map_err(|_| invalid("a number"))?)),
        },
        Shape::Flag => match form.get(name) {
            None => None,
            Some("true") => Some(json!(true)),
            Some("false") => Some(json!(false)),
            Some(_) => return Err(invalid("true or false")),
        },
        Shape::List => {
            let items: Vec<&str> = form.list(name).collect();
            (!items.is_empty()).then(|| json!(items))
        }
        Shape::Tags => {
            let tags: Vec<Value> = form
                .structures(name, ["Key", "Value"])
                .map(|[key, value]| json!({"Key": key.unwrap_or_default(), "Value": value.unwrap_or_default()}))
                .collect();
            (!tags.is_empty()).then(|| json!(tags))
        }
        Shape::Tree => form.tree(name)?,
        Shape::Arns => {
            let arns: Vec<Value> =
                form.structures(name, ["arn"]).map(|[arn]| json!({"arn": arn.unwrap_or_default()})).collect();
            (!arns.is_empty()).then(|| json!(arns))
        }
    })
}

/// The result as the wire has it, its secret in its place.
fn result(reply: Reply) -> Map<String, Value> {
    let Value::Object(mut members) = on_the_wire("", reply.body) else { return Map::new() };
    if let Some(secret) = reply.secret {
        let bytes = secret.secret.expose_secret();
        // The model has the seed of an MFA device for a blob: clients take base64 off it.
        let text = match secret.name {
            "Base32StringSeed" => STANDARD.encode(bytes),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        let text = Value::from(text);
        match members.get_mut(reply.within).and_then(Value::as_object_mut) {
            Some(within) => within.insert(secret.name.to_owned(), text),
            None => members.insert(secret.name.to_owned(), text),
        };
    }
    members
}

/// The table's answers are as the `aws` command prints them. On the wire a policy is text in percent encoding, and a time
/// ends in `Z`.
fn on_the_wire(name: &str, value: Value) -> Value {
    match value {
        Value::Object(_) if name.ends_with("Document") => {
            let encoded: String = form_urlencoded::byte_serialize(value.to_string().as_bytes()).collect();
            // A form writes a space as `+`, which a client that decodes percent signs would keep.
            Value::from(encoded.replace('+', "%20"))
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = on_the_wire(&name, value);
                (name, value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| on_the_wire(name, item)).collect()),
        Value::String(text) if name.ends_with("Date") || name == "Expiration" => {
            Value::String(text.replace("+00:00", "Z"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lab;

    fn ask(lab: &Lab, caller: &Caller, form: &str) -> Result<String, WireError> {
        let form = Form::parse(form.as_bytes()).unwrap();
        let action = form.get("Action").unwrap();
        let of = |service| Some((service, find(service, action)?));
        let (service, entry) = of(QueryService::Iam).or_else(|| of(QueryService::Sts)).unwrap();
        call(service, entry, lab.keystore().kms(), caller, &form, "the-id")
    }

    #[test]
    fn a_user_is_made_and_described() {
        let lab = Lab::new().unwrap();
        let made = "Action=CreateUser&UserName=eve&Path=/team/&Tags.member.1.Key=a&Tags.member.1.Value=b+c";
        let text = ask(&lab, &lab.admin(), made).unwrap();
        assert!(text.contains("<Arn>arn:aws:iam::111122223333:user/team/eve</Arn>"), "{text}");
        assert!(text.contains("<Tags><member><Key>a</Key><Value>b c</Value></member></Tags>"), "{text}");
        assert!(text.contains("<CreateDate>2026-01-01T00:00:00Z</CreateDate>"), "{text}");
        let text = ask(&lab, &lab.admin(), "Action=CreateAccessKey&UserName=eve").unwrap();
        assert!(text.contains("<AccessKeyId>AKIA") && text.contains("<SecretAccessKey>"), "{text}");
    }

    #[test]
    fn a_role_is_assumed_and_its_secret_stands_among_the_credentials() {
        let lab = Lab::new().unwrap();
        let alice = lab.user("alice", &["sts:AssumeRole"]).unwrap();
        lab.keystore().iam().create_role(&lab.admin(), "ops".parse().unwrap(), Default::default()).unwrap();
        let form = "Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role/ops&RoleSessionName=me\
            &PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess";
        let text = ask(&lab, &alice, form).unwrap();
        let credentials = text.split("<Credentials>").nth(1).unwrap().split("</Credentials>").next().unwrap();
        for member in
            ["<AccessKeyId>ASIA", "<SecretAccessKey>", "<SessionToken>", "<Expiration>2026-01-01T01:00:00Z"]
        {
            assert!(credentials.contains(member), "{member} in {text}");
        }
        assert!(text.contains("<AssumeRoleResult>") && text.contains("assumed-role/ops/me</Arn>"), "{text}");
        let refused = ask(&lab, &lab.user("bob", &[]).unwrap(), form).unwrap_err();
        assert_eq!((refused.status, refused.code.as_ref()), (403, "AccessDenied"));
    }

    #[test]
    fn a_policy_is_percent_encoded_and_errors_have_the_names_of_iam() {
        let lab = Lab::new().unwrap();
        let bob = lab.user("bob", &["kms:*"]).unwrap();
        let text = ask(&lab, &lab.admin(), "Action=GetUserPolicy&UserName=bob&PolicyName=policy").unwrap();
        assert!(text.contains("<PolicyDocument>%7B%22Version%22%3A"), "{text}");
        let missing = ask(&lab, &lab.admin(), "Action=GetUser&UserName=nobody").unwrap_err();
        assert_eq!((missing.status, missing.code.as_str()), (404, "NoSuchEntity"));
        let denied = ask(&lab, &bob, "Action=GetUser&UserName=bob").unwrap_err();
        assert_eq!((denied.status, denied.code.as_str()), (403, "AccessDenied"));
        let invalid = ask(&lab, &lab.admin(), "Action=CreateUser").unwrap_err();
        assert_eq!((invalid.status, invalid.code.as_str()), (400, "ValidationError"));
    }
}
