//! `keystead iam …`: every operation of identity management, in the `aws iam` command's words, and `mfa-code`, which is ours.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::json;

use super::{
    error::CommandError,
    global::Global,
    output,
    persona::{CreatePersonaRole, PERSONA, PersonaArgs},
    query::{self, Chosen},
};
use crate::{
    iam::MfaSerial,
    services::iam::{OPERATIONS, ShowMfaCode},
};

const ABOUT: &str = "Manage users, groups, roles, policies and credentials, in the `aws iam` command's words";

/// The subcommand that no `aws` command has.
const MFA_CODE: &str = "mfa-code";
/// The subcommand that makes roles, by AWS's parameters or for a persona.
const CREATE_ROLE: &str = "create-role";

/// One operation with its parameters.
#[derive(Debug)]
pub(super) enum Iam {
    /// An operation of AWS's.
    Operation(Chosen),
    /// `create-role --persona`.
    PersonaRole(Box<CreatePersonaRole>),
    /// `mfa-code`.
    MfaCode(MfaCode),
}

/// Show what an MFA device of the keystore shows now, in place of the phone that would
///
/// Example: keystead iam mfa-code --serial-number arn:aws:iam::111122223333:mfa/mia-phone
///
/// At AWS only the device shows codes; here the keystore can play it, for lessons and tests, for whoever is allowed
/// keystead:ShowMFACode. The code counts once. Of a device that is nobody's yet it shows the two codes that
/// `enable-mfa-device` asks for.
#[derive(Debug, Args)]
pub(super) struct MfaCode {
    /// The device's serial number: its ARN
    #[arg(long, value_name = "ARN")]
    serial_number: MfaSerial,
}

impl Iam {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Operation(chosen) => chosen.run(global),
            Self::PersonaRole(command) => command.run(global),
            Self::MfaCode(command) => command.run(global),
        }
    }
}

impl MfaCode {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let shown =
            keystore.iam().call(&caller, &ShowMfaCode { serial_number: self.serial_number.clone() })?;
        if global.json {
            return output::json(&json!({"Codes": shown.codes}));
        }
        for code in &shown.codes {
            output::line(code)?;
        }
        output::say("The keystore played the device: at AWS the phone that knows the seed would show this.");
        Ok(())
    }
}

impl Subcommand for Iam {
    fn augment_subcommands(command: Command) -> Command {
        let mfa_code = MfaCode::augment_args(Command::new(MFA_CODE));
        query::subcommands(OPERATIONS, ABOUT, command)
            .mut_subcommand(CREATE_ROLE, |command| {
                let trust = "AssumeRolePolicyDocument";
                let command =
                    command.mut_arg(trust, |trust| trust.required(false).required_unless_present(PERSONA));
                PersonaArgs::augment_args(command)
            })
            .subcommand(mfa_code)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == MFA_CODE || query::has_subcommand(OPERATIONS, name)
    }
}

impl FromArgMatches for Iam {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((MFA_CODE, matches)) => MfaCode::from_arg_matches(matches).map(Self::MfaCode),
            Some((CREATE_ROLE, of_role)) => {
                let chosen = query::chosen(OPERATIONS, matches)?;
                Ok(CreatePersonaRole::of(of_role, chosen)?
                    .map_or_else(Self::Operation, |role| Self::PersonaRole(Box::new(role))))
            }
            _ => query::chosen(OPERATIONS, matches).map(Self::Operation),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
