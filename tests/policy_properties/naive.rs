//! A second evaluator, written from AWS's pages and not from the first: slow, direct, over plain JSON.
//!
//! It knows the language of the generator beside it and no more. Where the two disagree, one of them misreads a page.

use serde_json::Value;

/// Decides a request in the simulation's shape: `allowed`, `explicitDeny` or `implicitDeny`.
pub(crate) fn decide(request: &Value) -> &'static str {
    let policies = &request["policies"];
    let flat = |name: &str| list(&policies[name]);
    let optional = |name: &str| if policies[name].is_null() { vec![] } else { vec![policies[name].clone()] };
    let levels = |name: &str| list(&policies[name]).iter().map(list).collect::<Vec<_>>();
    let everything: Vec<(bool, Value)> = [
        (false, flat("identity")),
        (false, optional("boundary")),
        (false, flat("session")),
        (false, levels("scp").concat()),
        (true, optional("resource")),
    ]
    .into_iter()
    .flat_map(|(is_resource, found)| found.into_iter().map(move |policy| (is_resource, policy)))
    .collect();
    for (is_resource, policy) in &everything {
        for statement in list(&policy["Statement"]) {
            if statement["Effect"] == "Deny" && fits(&statement, policy, request, *is_resource) {
                return "explicitDeny";
            }
        }
    }
    let any_allows = |found: &[Value]| {
        found.iter().any(|policy| {
            list(&policy["Statement"])
                .iter()
                .any(|statement| statement["Effect"] == "Allow" && fits(statement, policy, request, false))
        })
    };
    if levels("scp").iter().any(|level| !any_allows(level)) {
        return "implicitDeny";
    }
    let boundary = optional("boundary").is_empty() || any_allows(&optional("boundary"));
    let session = flat("session").is_empty() || any_allows(&flat("session"));
    let (caller, resource) = (text(&request["principal"]["arn"]), text(&request["resource"]["arn"]));
    let identity = (any_allows(&flat("identity")) || caller.ends_with(":root")) && boundary && session;
    let action = text(&request["action"]).to_lowercase();
    if resource == "*" {
        let keyless = ["kms:createkey", "kms:listkeys"].contains(&action.as_str());
        return if identity && (keyless || !action.starts_with("kms:")) { "allowed" } else { "implicitDeny" };
    }
    let same_account = account(&caller) == account(&resource);
    if !same_account && ["kms:disablekey", "kms:createkey"].contains(&action.as_str()) {
        return "implicitDeny";
    }
    if list(&request["grants"]).iter().any(|grant| grant_fits(grant, &action, &caller, request)) {
        return "allowed";
    }
    // Every Allow of the key policy, each with what it is worth.
    let (mut named, mut enough) = (false, false);
    for statement in optional("resource").iter().flat_map(|policy| list(&policy["Statement"])) {
        if statement["Effect"] != "Allow" || !fits(&statement, &policies["resource"], request, true) {
            continue;
        }
        named = true;
        for principal in principals(&statement["Principal"]) {
            let pinned = list_of_keys(&statement["Condition"]).iter().any(|(operator, key)| {
                key.to_lowercase() == "aws:principalarn" && operator == "StringEquals"
            });
            enough |= match principal.as_str() {
                "*" => pinned || (boundary && session),
                who if who.ends_with(":root") => false,
                who if who.contains(":role/") => who == role_of(&caller) && boundary && session,
                who if who.contains(":user/") => who == caller && session,
                who => who == caller,
            };
        }
    }
    let allowed = if same_account { enough || (named && identity) } else { named && identity };
    if allowed { "allowed" } else { "implicitDeny" }
}

fn grant_fits(grant: &Value, action: &str, caller: &str, request: &Value) -> bool {
    let grantee = text(&grant["GranteePrincipal"]);
    let subset = &grant["Constraints"]["EncryptionContextSubset"];
    let context_fits = subset.as_object().is_none_or(|pairs| {
        pairs.iter().all(|(key, value)| {
            value_of(request, &format!("kms:EncryptionContext:{key}"), true) == Some(vec![text(value)])
        })
    });
    (grantee == caller || grantee == role_of(caller))
        && list(&grant["Operations"])
            .iter()
            .any(|name| format!("kms:{}", text(name)).to_lowercase() == action)
        && context_fits
}

fn fits(statement: &Value, policy: &Value, request: &Value, is_resource: bool) -> bool {
    let (caller, resource) = (text(&request["principal"]["arn"]), text(&request["resource"]["arn"]));
    let action = text(&request["action"]).to_lowercase();
    if is_resource {
        let names = principals(&statement["Principal"]);
        let listed = names.iter().any(|name| {
            name == "*"
                || *name == caller
                || *name == role_of(&caller)
                || *name == format!("arn:aws:iam::{}:root", account(&caller))
        });
        if !listed {
            return false;
        }
    }
    let action_listed = |name: &str| {
        list(&statement[name]).iter().any(|pattern| like(&text(pattern).to_lowercase(), &action))
    };
    let acts =
        if statement["NotAction"].is_null() { action_listed("Action") } else { !action_listed("NotAction") };
    let resource_listed = |name: &str| {
        list(&statement[name]).iter().any(|pattern| {
            let pattern = text(pattern);
            pattern == "*" || (resource != "*" && arn_like(&pattern, &resource))
        })
    };
    let on = if statement["NotResource"].is_null() {
        resource_listed("Resource")
    } else {
        !resource_listed("NotResource")
    };
    let deny = statement["Effect"] == "Deny";
    let variables = policy["Version"] == "2012-10-17";
    acts && on
        && statement["Condition"].as_object().into_iter().flatten().all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, expected)| {
                let expected: Vec<String> = list(expected).iter().map(text).collect();
                holds(
                    operator,
                    value_of(request, key, !is_resource || !key.starts_with("aws:ResourceTag")),
                    &expected,
                    deny,
                    variables,
                    request,
                )
            })
        })
}

fn holds(
    operator: &str,
    actual: Option<Vec<String>>,
    expected: &[String],
    deny: bool,
    variables: bool,
    request: &Value,
) -> bool {
    let (quantifier, rest) =
        operator.split_once(':').map_or(("", operator), |(quantifier, rest)| (quantifier, rest));
    let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
    if base == "Null" {
        return expected.contains(&actual.is_none().to_string());
    }
    let negated = base.contains("Not");
    let Some(actual) = actual else {
        return if_exists || quantifier == "ForAllValues" || (negated && quantifier.is_empty());
    };
    let one = |value: &String| {
        let hit = expected.iter().any(|wanted| {
            let fill = wanted.replace("${aws:username}", &username(request).unwrap_or_default());
            let unresolved = variables && wanted.contains("${") && username(request).is_none();
            let wanted = if variables { fill } else { wanted.clone() };
            !unresolved
                && match base.replace("Not", "").as_str() {
                    "StringLike" => like(&wanted, value),
                    "NumericLessThan" => value.parse::<i64>().unwrap() < wanted.parse().unwrap(),
                    _ => wanted == *value,
                }
        });
        hit != negated
    };
    match quantifier {
        "ForAllValues" => actual.iter().all(one),
        "ForAnyValue" => actual.iter().any(one),
        _ if deny => actual.iter().any(one),
        _ => actual.iter().all(one),
    }
}

/// A condition key's values: what the context says, or what follows from the request.
fn value_of(request: &Value, key: &str, visible: bool) -> Option<Vec<String>> {
    if !visible {
        return None;
    }
    let given = request["context"].as_object().and_then(|context| {
        context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    });
    if let Some(value) = given {
        return Some(list(value).iter().map(text).collect());
    }
    let caller = text(&request["principal"]["arn"]);
    match key {
        "aws:username" => username(request).map(|name| vec![name]),
        "aws:PrincipalArn" => {
            Some(vec![if caller.contains(":assumed-role/") { role_of(&caller) } else { caller }])
        }
        _ => {
            let tag = key.strip_prefix("aws:ResourceTag/")?;
            request["resource"]["tags"].get(tag).map(|value| vec![text(value)])
        }
    }
}

fn username(request: &Value) -> Option<String> {
    text(&request["principal"]["arn"]).split_once(":user/").map(|(_, name)| name.to_owned())
}

fn role_of(caller: &str) -> String {
    match caller.split_once(":assumed-role/") {
        Some((_, rest)) => {
            format!("arn:aws:iam::{}:role/{}", account(caller), rest.split('/').next().unwrap())
        }
        None => String::new(),
    }
}

fn account(arn: &str) -> String {
    arn.split(':').nth(4).unwrap_or_default().to_owned()
}

fn principals(element: &Value) -> Vec<String> {
    if element == "*" { vec!["*".into()] } else { list(&element["AWS"]).iter().map(text).collect() }
}

fn list_of_keys(condition: &Value) -> Vec<(String, String)> {
    let operators = condition.as_object().into_iter().flatten();
    operators
        .flat_map(|(operator, keys)| {
            keys.as_object().unwrap().keys().map(|key| (operator.clone(), key.clone()))
        })
        .collect()
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![],
        Value::Array(values) => values.clone(),
        other => vec![other.clone()],
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn arn_like(pattern: &str, arn: &str) -> bool {
    let (patterns, segments): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() <= segments.len()
        && patterns.iter().zip(&segments).all(|(pattern, segment)| like(pattern, segment))
}

fn like(pattern: &str, value: &str) -> bool {
    match pattern.chars().next() {
        None => value.is_empty(),
        Some('*') => (0..=value.len()).any(|at| like(&pattern[1..], &value[at..])),
        Some(first) => {
            value.starts_with(first) && like(&pattern[first.len_utf8()..], &value[first.len_utf8()..])
        }
    }
}
