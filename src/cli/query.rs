//! Commands made of a table of operations: `keystead iam …`, `keystead sts …` and `keystead organizations …`, in the `aws` command's words.
//!
//! `CreateUser` is `create-user`, its parameter `UserName` is `--user-name`. So
//! the command line, the library and the audit log cannot name things differently.

use std::{borrow::Cow, fs, io::Write};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{error::CommandError, global::Global, output};
use crate::{
    keystore::Keystore,
    kms::Caller,
    services::query::{NamedSecret, OperationEntry, Parameter, Reply, Shape},
};

/// One operation with its parameters.
#[derive(Debug)]
pub(super) struct Chosen {
    operation: &'static OperationEntry,
    parameters: Vec<(&'static Parameter, Given)>,
    json: bool,
}

/// A parameter as it was typed.
#[derive(Debug)]
enum Given {
    Flag,
    Texts(Vec<String>),
}

impl Chosen {
    /// Makes the call as the caller that the global flags name.
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        self.call(&keystore, &caller)
    }

    /// The operation's name.
    pub(super) fn name(&self) -> &'static str {
        self.operation.name
    }

    /// A parameter of one text, as it was typed.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, given) = self.parameters.iter().find(|(parameter, _)| parameter.name == name)?;
        match given {
            Given::Texts(texts) => texts.first().map(String::as_str),
            Given::Flag => None,
        }
    }

    /// Whether the answer is wanted as JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Makes the call and prints its answer.
    pub(super) fn call(&self, keystore: &Keystore, caller: &Caller) -> Result<(), CommandError> {
        self.make(keystore, caller, Map::new())
    }

    /// The same with a parameter that has a value when none was typed.
    pub(super) fn call_with(
        &self,
        keystore: &Keystore,
        caller: &Caller,
        name: &str,
        value: Value,
    ) -> Result<(), CommandError> {
        self.make(keystore, caller, Map::from_iter([(name.to_owned(), value)]))
    }

    fn make(
        &self,
        keystore: &Keystore,
        caller: &Caller,
        mut parameters: Map<String, Value>,
    ) -> Result<(), CommandError> {
        for (parameter, given) in &self.parameters {
            parameters.insert(parameter.name.into(), value_of(parameter, given)?);
        }
        let reply = self.operation.call(keystore.kms(), caller, parameters)?;
        if self.json { print_json(&reply) } else { print_words(&reply) }
    }
}

fn value_of(parameter: &Parameter, given: &Given) -> Result<Value, CommandError> {
    let Given::Texts(texts) = given else { return Ok(json!(true)) };
    let first = texts.first().map(String::as_str).unwrap_or_default();
    Ok(match parameter.shape {
        Shape::Flag => json!(true),
        Shape::Text => json!(first),
        Shape::Document => json!(document(first)?),
        Shape::Token => json!(token(first)?),
        Shape::Number => json!(first.parse::<u64>().map_err(|_| {
            CommandError::usage(format!(
                "`{first}` is not a whole number, which {} takes",
                flag(parameter.name)
            ))
        })?),
        Shape::List => json!(texts),
        Shape::Tags => Value::Array(texts.iter().map(|text| tag(text)).collect::<Result<_, _>>()?),
        Shape::Tree => serde_json::from_str(&document(first)?)
            .map_err(|error| CommandError::usage(format!("{} takes JSON: {error}", flag(parameter.name))))?,
        Shape::Arns => Value::Array(
            texts.iter().map(|text| json!({"arn": text.strip_prefix("arn=").unwrap_or(text)})).collect(),
        ),
    })
}

/// A document: JSON as it is, or the content of a file, with or without `file://` before its path.
fn document(text: &str) -> Result<String, CommandError> {
    if text.trim_start().starts_with(['{', '[']) {
        return Ok(text.into());
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("cannot read the document `{path}`: {error}"))
            .hint("give a path, `file://PATH`, or the JSON itself")
    })
}

/// A signed token (a JSON Web Token): as it is, or the content of a file without the line break that editors leave at its
/// end. What may be a token is never repeated in an error.
fn token(text: &str) -> Result<String, CommandError> {
    // Base64 of `{"`, with which the header of every such token begins.
    if text.starts_with("eyJ") {
        return Ok(text.trim().into());
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    let read = fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("cannot read the token's file: {error}"))
            .hint("give the path of a file that holds the token, `file://PATH`, or the token itself (`eyJ…`)")
    })?;
    Ok(read.trim().into())
}

/// A tag, as the `aws` command takes it (`Key=team,Value=ml`) or short (`team=ml`).
fn tag(text: &str) -> Result<Value, CommandError> {
    let long = text.strip_prefix("Key=").and_then(|rest| rest.split_once(",Value="));
    let (key, value) = long.or_else(|| text.split_once('=')).ok_or_else(|| {
        CommandError::usage(format!("`{text}` is not a tag: `Key=team,Value=ml` or `team=ml`"))
    })?;
    Ok(json!({"Key": key, "Value": value}))
}

/// The whole answer. A secret passes from the keystore to standard output and lies nowhere else.
fn print_json(reply: &Reply) -> Result<(), CommandError> {
    if reply.body == json!({}) && reply.secret.is_none() {
        return Ok(());
    }
    print_with_secrets(&with_place(reply), reply.secret.iter())
}

/// Prints JSON with credentials that were made on the way as its last member, `Secrets`, when there are any.
pub(super) fn print_json_and_made(mut body: Value, made: &[Reply]) -> Result<(), CommandError> {
    if !made.is_empty() {
        let list = made.iter().map(with_place).collect();
        body.as_object_mut().map(|members| members.insert("Secrets".into(), Value::Array(list)));
    }
    print_with_secrets(&body, made.iter().filter_map(|reply| reply.secret.as_ref()))
}

/// An answer with a mark where its secret goes.
fn with_place(reply: &Reply) -> Value {
    let mut body = reply.body.clone();
    if let Some(secret) = &reply.secret
        && let Some(Value::Object(members)) = body.get_mut(reply.within)
    {
        members.insert(secret.name.into(), json!(PLACE_OF_SECRET));
    }
    body
}

/// Prints JSON with these secrets at the last marks in it: whoever names things cannot make marks after them.
fn print_with_secrets<'s>(
    body: &Value,
    secrets: impl Iterator<Item = &'s NamedSecret>,
) -> Result<(), CommandError> {
    let secrets: Vec<&NamedSecret> = secrets.collect();
    let text = serde_json::to_string_pretty(body).map_err(std::io::Error::from)?;
    let mut pieces: Vec<&str> = text.rsplitn(secrets.len() + 1, PLACE_OF_SECRET).collect();
    pieces.reverse();
    let length = text.len() + secrets.iter().map(|secret| secret.secret.len()).sum::<usize>() + 1;
    let mut line = Zeroizing::new(Vec::with_capacity(length));
    for (at, piece) in pieces.iter().enumerate() {
        line.extend_from_slice(piece.as_bytes());
        if let Some(secret) = secrets.get(at) {
            line.extend_from_slice(secret.secret.expose_secret());
        }
    }
    line.push(b'\n');
    Ok(std::io::stdout().lock().write_all(&line)?)
}

/// A mark in JSON text where a secret goes.
const PLACE_OF_SECRET: &str = "\u{fffc}";

/// Tells credentials that were made on the way, whose they are and their secrets, which are shown this once.
pub(super) fn tell_made(to: &mut impl Write, made: &[Reply]) -> std::io::Result<()> {
    const NAMES: &[&str] = &["UserName", "AccessKeyId", "SerialNumber"];
    const NAME_COLUMNS: usize = "Base32StringSeed".len();
    for Reply { body, within, secret } in made {
        let whole = body.get(within).unwrap_or(body);
        for name in NAMES {
            if let Some(value) = whole.get(name) {
                writeln!(to, "{name:<NAME_COLUMNS$}  {}", words(value))?;
            }
        }
        if let Some(secret) = secret {
            write_secret(to, secret, NAME_COLUMNS)?;
        }
    }
    if !made.is_empty() {
        output::say(SHOWN_ONCE);
    }
    Ok(())
}

/// What is said after a secret.
const SHOWN_ONCE: &str = "This is shown once and cannot be shown again: keep it in a safe place.";

/// Lists as one name a line; a thing as labelled facts. A document is laid out below its label.
fn print_words(reply: &Reply) -> Result<(), CommandError> {
    let whole = reply.body.get(reply.within).unwrap_or(&reply.body);
    let secret = reply.secret.as_ref();
    // The secret stands below the facts, in line with them.
    let mut columns = secret.map(|secret| secret.name.len()).unwrap_or_default();
    match whole {
        Value::Array(list) => {
            for item in list {
                output::line(&name_of(item))?;
            }
        }
        Value::Object(members) => columns = print_facts(members, columns)?,
        other => output::line(&words(other))?,
    }
    match secret {
        Some(secret) => print_secret(secret, columns),
        None => Ok(()),
    }
}

/// Prints what a thing is, with labels at least that wide; answers how wide they are.
fn print_facts(members: &Map<String, Value>, columns_min: usize) -> Result<usize, CommandError> {
    let told: Vec<_> = members.iter().filter(|(name, _)| *name != "IsTruncated").collect();
    let columns = told.iter().map(|(name, _)| name.len()).chain([columns_min]).max().unwrap_or_default();
    for (name, value) in told {
        match document_in(value) {
            Some(document) => {
                output::block(name, &serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?)?
            }
            None => output::fact(name, &words(value), columns)?,
        }
    }
    Ok(columns)
}

/// A value that is laid out in lines: a policy, however it was written, or several things.
fn document_in(value: &Value) -> Option<Cow<'_, Value>> {
    match value {
        Value::String(text) if text.starts_with('{') => serde_json::from_str(text).ok().map(Cow::Owned),
        Value::Object(members) if !members.is_empty() => Some(Cow::Borrowed(value)),
        Value::Array(list) if list.iter().any(|one| one.is_object() && tag_words(one).is_none()) => {
            Some(Cow::Borrowed(value))
        }
        _ => None,
    }
}

fn print_secret(secret: &NamedSecret, columns: usize) -> Result<(), CommandError> {
    write_secret(&mut std::io::stdout().lock(), secret, columns)?;
    output::say(SHOWN_ONCE);
    Ok(())
}

fn write_secret(to: &mut impl Write, secret: &NamedSecret, columns: usize) -> std::io::Result<()> {
    let name = format!("{:<columns$}  ", secret.name);
    let mut line = Zeroizing::new(Vec::with_capacity(name.len() + secret.secret.len() + 1));
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(secret.secret.expose_secret());
    line.push(b'\n');
    to.write_all(&line)
}

/// What a thing in a list is known by.
fn name_of(item: &Value) -> String {
    // Ids of an organization's parts tell little without their names.
    let id = ["Id", "TargetId"].iter().find_map(|id| item.get(id));
    if let Some(id) = id {
        let name = item.get("Name").or_else(|| item.get("Type"));
        return format!("{}  {}", words(id), name.map(words).unwrap_or_default());
    }
    const NAMES: &[&str] =
        &["VpcEndpointId", "Arn", "PolicyArn", "SerialNumber", "AccessKeyId", "VersionId", "Key"];
    let name = NAMES.iter().find_map(|name| item.get(name)).unwrap_or(item);
    let more = ["Status", "Value"].iter().find_map(|more| item.get(more));
    let default = item.get("IsDefaultVersion").and_then(Value::as_bool).unwrap_or_default();
    match more {
        Some(more) => format!("{}  {}", words(name), words(more)),
        None if default => format!("{}  in force", words(name)),
        None => words(name),
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|one| tag_words(one).unwrap_or_else(|| words(one))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A tag as it is typed: `team=ml`.
fn tag_words(value: &Value) -> Option<String> {
    let members = value.as_object().filter(|members| members.len() == 2)?;
    Some(format!("{}={}", words(members.get("Key")?), words(members.get("Value")?)))
}

/// `CreateVirtualMFADevice` as the `aws` command writes it: `create-virtual-mfa-device`.
fn kebab(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut text = String::with_capacity(name.len() + 8);
    for (at, character) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let begins_word = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                !before.is_ascii_uppercase() || chars.get(at + 1).is_some_and(char::is_ascii_lowercase)
            });
        if begins_word {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

fn flag(name: &str) -> String {
    format!("`--{}`", kebab(name))
}

/// A sentence without its full stop, as help texts are.
fn help(text: &'static str) -> String {
    text.trim().trim_end_matches('.').to_owned()
}

fn argument(parameter: &'static Parameter) -> Arg {
    let argument = Arg::new(parameter.name).long(kebab(parameter.name)).help(help(parameter.help));
    let argument = argument.required(!parameter.optional && parameter.shape != Shape::Flag);
    match parameter.shape {
        Shape::Flag => argument.action(ArgAction::SetTrue),
        Shape::Text => argument.value_name("TEXT"),
        Shape::Document | Shape::Tree => argument.value_name("FILE|JSON"),
        Shape::Token => argument.value_name("FILE|TOKEN"),
        Shape::Number => argument.value_name("NUMBER"),
        Shape::Arns => argument.value_name("ARN").num_args(1..).action(ArgAction::Append),
        Shape::List => argument.value_name("TEXT").num_args(1..).action(ArgAction::Append),
        Shape::Tags => argument.value_name("KEY=VALUE").num_args(1..).action(ArgAction::Append),
    }
}

/// The subcommands of a table.
pub(super) fn subcommands(
    operations: &'static [OperationEntry],
    about: &'static str,
    command: Command,
) -> Command {
    let operations = operations.iter().map(|operation| {
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the answer as JSON");
        Command::new(kebab(operation.name))
            .about(help(operation.about))
            .args(operation.parameters.iter().map(argument))
            .arg(json)
    });
    command.about(about).subcommand_required(true).arg_required_else_help(true).subcommands(operations)
}

/// Whether a table has a subcommand.
pub(super) fn has_subcommand(operations: &[OperationEntry], name: &str) -> bool {
    operations.iter().any(|operation| kebab(operation.name) == name)
}

/// What was chosen of a table.
pub(super) fn chosen(
    operations: &'static [OperationEntry],
    matches: &ArgMatches,
) -> Result<Chosen, clap::Error> {
    let found = matches.subcommand().and_then(|(name, matches)| {
        Some((operations.iter().find(|operation| kebab(operation.name) == name)?, matches))
    });
    let (operation, matches) =
        found.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
    let given = operation.parameters.iter().filter_map(|parameter| {
        let given = match parameter.shape {
            Shape::Flag => matches.get_flag(parameter.name).then_some(Given::Flag)?,
            _ => Given::Texts(matches.get_many::<String>(parameter.name)?.cloned().collect()),
        };
        Some((parameter, given))
    });
    Ok(Chosen { operation, parameters: given.collect(), json: matches.get_flag("json") })
}

/// Makes a command of a table.
macro_rules! table_command {
    ($name:ident, $operations:path, $about:literal) => {
        impl ::clap::Subcommand for $name {
            fn augment_subcommands(command: ::clap::Command) -> ::clap::Command {
                super::query::subcommands($operations, $about, command)
            }

            fn augment_subcommands_for_update(command: ::clap::Command) -> ::clap::Command {
                Self::augment_subcommands(command)
            }

            fn has_subcommand(name: &str) -> bool {
                super::query::has_subcommand($operations, name)
            }
        }

        impl ::clap::FromArgMatches for $name {
            fn from_arg_matches(matches: &::clap::ArgMatches) -> Result<Self, ::clap::Error> {
                super::query::chosen($operations, matches).map(Self)
            }

            fn update_from_arg_matches(&mut self, matches: &::clap::ArgMatches) -> Result<(), ::clap::Error> {
                *self = <Self as ::clap::FromArgMatches>::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}
pub(super) use table_command;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_aws_command() {
        for (name, expected) in [
            ("CreateUser", "create-user"),
            ("CreateVirtualMFADevice", "create-virtual-mfa-device"),
            ("ListMFADevices", "list-mfa-devices"),
            ("AddClientIDToOpenIDConnectProvider", "add-client-id-to-open-id-connect-provider"),
            ("AuthenticationCode1", "authentication-code1"),
            ("ClientIDList", "client-id-list"),
        ] {
            assert_eq!(kebab(name), expected);
        }
    }

    #[test]
    fn documents_are_laid_out_and_tags_are_not() {
        for document in
            [json!("{\"Version\": \"2012-10-17\"}"), json!({"Effect": "Allow"}), json!([{"Type": "SCP"}])]
        {
            assert!(document_in(&document).is_some(), "{document}");
        }
        for plain in [json!("a {"), json!("{ no document"), json!(["a", "b"]), json!([]), json!({}), json!(7)]
        {
            assert_eq!(document_in(&plain), None, "{plain}");
        }
        let tags = json!([{"Key": "team", "Value": "ml"}, {"Key": "stage", "Value": ""}]);
        assert_eq!((document_in(&tags), words(&tags).as_str()), (None, "team=ml stage="));
        assert_eq!(words(&json!(["kms:Decrypt", "kms:Encrypt"])), "kms:Decrypt kms:Encrypt");
    }

    #[test]
    fn tags_are_taken_long_and_short() {
        let expected = json!({"Key": "team", "Value": "a=b"});
        assert_eq!(tag("Key=team,Value=a=b").unwrap(), expected);
        assert_eq!(tag("team=a=b").unwrap(), expected);
        assert!(tag("team").is_err());
    }
}
