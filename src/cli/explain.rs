//! `keystead explain`

use std::{net::IpAddr, str::FromStr};

use clap::Args;
use serde_json::{Value, json};

use super::{
    error::CommandError,
    exit::Exit,
    explanation,
    global::Global,
    keyring::ContextArgs,
    output,
    question::{Named, topics},
};
use crate::{
    keystore::{Keystore, PastDecision},
    kms::{Caller, Explanation, Question, Service, Supposed},
    model::{AliasName, Arn, KeyRef, ParseError},
    policy::DecisionEffect,
    services::s3::key_question,
};

/// Show whether a call would be allowed, why, and the smallest change that would allow it
///
/// Example: keystead explain kms:Decrypt --key alias/models --as user/bob
///
/// Decided as the call itself would be, in the keystore as it is; nothing is done and nothing recorded. Exits 0 when it is
/// allowed, 3 when it is denied. With `--decision` shows how a call of the past was decided, with the policies of then; that
/// is a look at the record and exits 0 whatever was decided.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The action, such as kms:Decrypt
    #[arg(value_name = "ACTION", required_unless_present = "decision")]
    action: Option<String>,
    /// The key: id, ARN, alias name or alias ARN; with an s3 action the key of the object
    #[arg(long, alias = "key-id", value_name = "KEY")]
    key: Option<KeyRef>,
    /// The alias that kms:CreateAlias, kms:UpdateAlias or kms:DeleteAlias would make, move or take away
    #[arg(long, value_name = "ALIAS")]
    alias: Option<AliasName>,
    /// Something else: an ARN, or s3://BUCKET/KEY
    #[arg(long, value_name = "ARN")]
    resource: Option<ResourceArg>,
    #[command(flatten)]
    context: ContextArgs,
    /// A condition key that the request is supposed to hold: KEY=VALUE; repeatable, and the same key makes a list
    #[arg(long = "condition", value_name = "KEY=VALUE")]
    conditions: Vec<Condition>,
    /// The service that calls on the caller's behalf: s3
    #[arg(long, value_name = "SERVICE")]
    via: Option<ServiceArg>,
    /// The address that the call comes from [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,
    /// Suppose that the caller has temporary credentials that were had with MFA
    #[arg(long)]
    mfa: bool,
    /// A decision of the past: its id, or the id of its event in the audit log
    #[arg(long, value_name = "ID", conflicts_with_all = ["action", "key", "alias", "resource", "conditions", "via", "source_ip", "mfa"])]
    decision: Option<String>,
}

/// An ARN, or an S3 URI.
#[derive(Debug, Clone)]
struct ResourceArg(Arn);

impl FromStr for ResourceArg {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.strip_prefix("s3://") {
            Some(place) => format!("arn:aws:s3:::{place}").parse().map(Self),
            None => text.parse().map(Self),
        }
    }
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
struct Condition(String, String);

impl FromStr for Condition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once('=') {
            Some((key, value)) if key.contains(':') => Ok(Self(key.into(), value.into())),
            _ => Err(ParseError::new("write it as KEY=VALUE, such as aws:SourceVpce=vpce-1")),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct ServiceArg(Service);

impl FromStr for ServiceArg {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Service::from_name(text)
            .map(Self)
            .ok_or_else(|| ParseError::new(format!("`{text}` is no service of this keystore: s3")))
    }
}

impl Explain {
    pub(super) fn run(&self, global: &Global) -> Result<Exit, CommandError> {
        if let Some(id) = &self.decision {
            return past(global, &global.open()?.decision(id)?).map(|()| Exit::Done);
        }
        let questions = self.questions()?;
        let (keystore, caller) = global.session()?;
        let explanation = self.ask(&keystore, &caller, questions)?;
        if global.json {
            output::json(&shape(&explanation)?)?;
        } else {
            explanation::print(&explanation)?;
        }
        let allowed = explanation.trace.effect == DecisionEffect::Allowed;
        Ok(if allowed { Exit::Done } else { Exit::AccessDenied })
    }

    /// What is asked: on each resource that the call would be decided on.
    fn questions(&self) -> Result<Vec<Question>, CommandError> {
        let action = self.action.clone().unwrap_or_default();
        let resource = self.resource.as_ref().map(|resource| &resource.0);
        let named = Named { key: self.key.as_ref(), alias: self.alias.as_ref(), resource };
        let topics = topics(&action, named)?;
        let mut supposed = Supposed { mfa: self.mfa, ..Supposed::default() };
        for Condition(key, value) in &self.conditions {
            match supposed.conditions.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
                Some((_, values)) => values.push(value.clone()),
                None => supposed.conditions.push((key.clone(), vec![value.clone()])),
            }
        }
        let encryption_context = self.context.context()?;
        let question = |on| Question {
            encryption_context: encryption_context.clone(),
            via: self.via.map(|service| service.0),
            source_ip: self.source_ip,
            supposed: supposed.clone(),
            ..Question::new(action.clone(), on)
        };
        Ok(topics.into_iter().map(question).collect())
    }

    /// Asks them, and about the key too where reading or writing needs one.
    fn ask(
        &self,
        keystore: &Keystore,
        caller: &Caller,
        mut questions: Vec<Question>,
    ) -> Result<Explanation, CommandError> {
        let world = keystore.world()?;
        let on_key = questions.first().and_then(|first| key_question(&world, first, self.key.as_ref()));
        questions.extend(on_key);
        let mut whole: Option<Explanation> = None;
        for question in &questions {
            let part = keystore.explain(caller, question)?;
            whole = Some(match whole {
                Some(so_far) => Explanation { trace: so_far.trace.join(part.trace), ..part },
                None => part,
            });
        }
        whole.ok_or_else(|| CommandError::usage("nothing was asked"))
    }
}

/// As `simulate` answers.
fn shape(explanation: &Explanation) -> Result<Value, CommandError> {
    let mut shape = output::to_json(explanation)?;
    if let Some(members) = shape.as_object_mut() {
        members.insert("time".into(), json!(explanation.time.to_rfc3339()));
        members.insert("decision".into(), json!(explanation.trace.effect));
        members.insert("deciding".into(), json!(explanation.trace.deciding));
    }
    Ok(shape)
}

fn past(global: &Global, decision: &PastDecision) -> Result<(), CommandError> {
    let record = &decision.record;
    if global.json {
        let explanation = decision.explanation.as_ref().map(shape).transpose()?;
        return output::json(&json!({"record": record, "explanation": explanation}));
    }
    let event = format!("{} of {}", record.event_name, record.event_time.to_rfc3339());
    match (&decision.explanation, &record.error_code) {
        (Some(explanation), _) => {
            output::say(&format!("as decided then: {event}"));
            explanation::print(explanation)
        }
        (None, Some(code)) => {
            Ok(output::line(&format!("{event} failed with {code}: it was no policy that said no"))?)
        }
        (None, None) => {
            output::line(&format!("{event} was allowed"))?;
            let by = record.additional_event_data.as_ref().and_then(|facts| facts.get("allowedBy"));
            for note in by.and_then(Value::as_array).into_iter().flatten() {
                output::line(&explanation::allowed_by(note))?;
            }
            Ok(())
        }
    }
}
