//! `keystead tls`

use std::{
    fs::File,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{error::CommandError, exit::Exit, global::Global, output, table::Table};
use crate::{
    keystore::Keystore,
    model::{CertificateNames, CertificateSerial, Days, HostName, PrincipalArn, RevocationReason, Timestamp},
    services::tls::{AUTHORITY_DAYS, CERTIFICATE_DAYS, IssueCertificate},
    transit::{HolderKey, TransitError, pem, x509::read_names},
    world::Certificate,
};

/// Issue and revoke certificates for TLS, in which a certificate names a principal
///
/// The authority's private key lies in the keystore, wrapped like all others. Validity is by the keystore's clock.
#[derive(Debug, Subcommand)]
pub(super) enum Tls {
    Ca(Ca),
    Issue(Issue),
    List(List),
    Revoke(Revoke),
    Show(Show),
}

/// Print the authority's certificate, making the authority at first
///
/// Example: keystead tls ca > ca.pem
///
/// Whoever trusts this certificate trusts all that the keystore's authority issues. The revocation list (`--crl`) is good
/// for 7 days; get it anew before that.
#[derive(Debug, Args)]
pub(super) struct Ca {
    /// Print the newest revocation list instead
    #[arg(long)]
    crl: bool,
    /// How many days the authority is valid, when it is made now
    #[arg(long, value_name = "DAYS", default_value_t = AUTHORITY_DAYS.get())]
    valid_days: u32,
}

/// Issue a certificate with a new private key
///
/// Example: keystead tls issue --principal user/alice --out alice
///
/// Writes OUT.crt and OUT.key; the key is for its owner alone (mode 600) and is kept nowhere else. A certificate with a
/// principal is for clients, one with a host or address for servers, one with both for either.
#[derive(Debug, Args)]
pub(super) struct Issue {
    /// The principal that the holder acts as: user/NAME, role/NAME, root or an ARN
    #[arg(long, value_name = "WHO", required_unless_present_any = ["host", "address"])]
    principal: Option<String>,
    /// A host name that the holder serves as; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<HostName>,
    /// An address that the holder serves at; may be repeated
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    /// How many days it is valid, 398 at most
    #[arg(long, value_name = "DAYS", default_value_t = CERTIFICATE_DAYS.get())]
    valid_days: u32,
    /// Where to write it: OUT.crt and OUT.key, neither of which may exist
    #[arg(long, short, value_name = "OUT")]
    out: PathBuf,
}

/// List the certificates that were issued
#[derive(Debug, Args)]
pub(super) struct List {}

/// Revoke a certificate, for ever
///
/// Example: keystead tls revoke alice.crt --reason KEY_COMPROMISE
///
/// Servers refuse its holder as soon as they have the new revocation list, also in sessions that are resumed.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    which: Which,
    /// Why: UNSPECIFIED, KEY_COMPROMISE, AFFILIATION_CHANGED, SUPERSEDED, CESSATION_OF_OPERATION or PRIVILEGE_WITHDRAWN
    #[arg(long, value_name = "REASON", default_value_t)]
    reason: RevocationReason,
}

/// Show a certificate
///
/// Example: keystead tls show alice.crt
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
    /// Print the certificate itself as PEM
    #[arg(long)]
    pem: bool,
}

/// A certificate that was issued.
#[derive(Debug, Args)]
struct Which {
    /// Its serial number, or its file
    #[arg(value_name = "SERIAL|FILE")]
    certificate: String,
}

impl Which {
    /// Its serial number. A file is read for that alone: what holds of the certificate is what the keystore knows.
    fn serial(&self) -> Result<CertificateSerial, CommandError> {
        let path = Path::new(&self.certificate);
        match self.certificate.parse() {
            Ok(serial) => Ok(serial),
            Err(_) if path.is_file() => {
                let certificates = pem::read_certificates(path)?;
                let first = certificates.first().map(Vec::as_slice).unwrap_or_default();
                Ok(read_names(first).map_err(|error| CommandError::from(error).about(path))?.0)
            }
            Err(error) => Err(CommandError::from(error).hint("there is no file of this name either")),
        }
    }
}

impl Tls {
    pub(super) fn run(&self, global: &Global) -> Result<(), CommandError> {
        match self {
            Self::Ca(ca) => ca.run(global),
            Self::Issue(issue) => issue.run(global),
            Self::List(List {}) => list(global),
            Self::Revoke(revoke) => revoke.run(global),
            Self::Show(show) => show.run(global),
        }
    }
}

impl Ca {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let (authority, made) = keystore.tls().ensure_authority(&caller, Days::new(self.valid_days))?;
        if made {
            output::say(&format!("made {}, valid until {}", authority.arn, authority.not_after));
        }
        if self.crl {
            let list = keystore.tls().revocation_list(&caller)?;
            return Ok(output::lines(pem::revocation_list(&list).trim_end())?);
        }
        let certificate = pem::certificate(&authority.certificate);
        if global.json {
            return output::json(&json!({
                "CertificateAuthorityArn": authority.arn,
                "NotBefore": authority.not_before.to_rfc3339(),
                "NotAfter": authority.not_after.to_rfc3339(),
                "Certificate": certificate,
            }));
        }
        Ok(output::lines(certificate.trim_end())?)
    }
}

impl Issue {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (certificate_path, key_path) = (with_ending(&self.out, "crt"), with_ending(&self.out, "key"));
        let (keystore, caller) = global.session()?;
        for path in [&certificate_path, &key_path] {
            refuse_path(&keystore, path)?;
        }
        let account = keystore.settings()?.account;
        let principal =
            self.principal.as_deref().map(|name| principal(name, account.as_str())).transpose()?;
        let names = CertificateNames { principal, hosts: self.host.clone(), addresses: self.address.clone() };
        let key = HolderKey::generate()?;
        let issue =
            IssueCertificate { request: key.request().to_vec(), names, validity: Days::new(self.valid_days) };
        let issued = keystore.tls().issue(&caller, issue)?;
        key.write(&key_path).map_err(|error| CommandError::from(error).about(&key_path))?;
        let mut file = File::options().write(true).create_new(true).open(&certificate_path);
        let text = pem::certificate(&issued.certificate);
        let written = file.as_mut().map_err(|error| error.kind()).map(|file| file.write_all(text.as_bytes()));
        if !matches!(written, Ok(Ok(()))) {
            return Err(CommandError::new(Exit::Failed, "the certificate cannot be written")
                .about(&certificate_path)
                .hint(format!("print it with `keystead tls show {} --pem`", issued.serial)));
        }
        if global.json {
            return output::json(&described(&issued, keystore.time()));
        }
        output::line(issued.serial.as_str())?;
        output::say(&format!(
            "{} and {}: {}, until {}",
            certificate_path.display(),
            key_path.display(),
            issued.names,
            issued.not_after
        ));
        Ok(())
    }
}

/// The principal that a person names. Unlike a caller's, a role's stays the role: whoever holds the certificate is given
/// a session.
fn principal(name: &str, account: &str) -> Result<PrincipalArn, CommandError> {
    if name.starts_with("arn:") {
        return Ok(name.parse()?);
    }
    let arn = format!("arn:aws:iam::{account}:{name}");
    arn.parse().map_err(|_| {
        CommandError::usage(format!(
            "`{name}` names nobody: write `user/NAME`, `role/NAME`, `root` or an ARN"
        ))
    })
}

fn with_ending(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Nothing is issued when its files could not be written afterwards.
fn refuse_path(keystore: &Keystore, path: &Path) -> Result<(), CommandError> {
    if keystore.own_files().contain(path) {
        return Err(CommandError::usage("this place is the keystore's own").about(path));
    }
    if path.symlink_metadata().is_ok() {
        return Err(CommandError::new(Exit::Failed, "there is such a file already")
            .about(path)
            .hint("name another with `--out`; private keys are never replaced"));
    }
    Ok(())
}

fn list(global: &Global) -> Result<(), CommandError> {
    let (keystore, caller) = global.session()?;
    let (certificates, now) = (keystore.tls().list(&caller)?, keystore.time());
    if global.json {
        let described: Vec<Value> = certificates.iter().map(|one| described(one, now)).collect();
        return output::json(&json!({"Certificates": described}));
    }
    let rows = certificates.iter().map(|one| {
        vec![
            one.serial.to_string(),
            one.status(now).as_str().into(),
            one.not_after.to_string(),
            one.names.to_string(),
        ]
    });
    Table::new(&["SERIAL", "STATUS", "UNTIL", "WHO"]).stacked(&[&[0, 3], &[1], &[2]]).print(rows)?;
    Ok(())
}

impl Revoke {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let revoked = keystore.tls().revoke(&caller, self.which.serial()?, self.reason)?;
        if global.json {
            return output::json(&described(&revoked, keystore.time()));
        }
        output::say(&format!("{} is revoked; hand the new list on: `keystead tls ca --crl`", revoked.serial));
        Ok(())
    }
}

impl Show {
    fn run(&self, global: &Global) -> Result<(), CommandError> {
        let (keystore, caller) = global.session()?;
        let one = keystore.tls().certificate(&caller, self.which.serial()?)?;
        let now = keystore.time();
        if self.pem {
            return Ok(output::lines(pem::certificate(&one.certificate).trim_end())?);
        }
        if global.json {
            return output::json(&described(&one, now));
        }
        let mut facts = vec![
            ("Serial", one.serial.to_string()),
            ("Status", one.status(now).as_str().into()),
            ("Valid from", one.not_before.to_string()),
            ("Valid until", one.not_after.to_string()),
            ("Authority", one.authority.to_string()),
        ];
        facts.extend(one.names.principal.iter().map(|principal| ("Principal", principal.to_string())));
        facts.extend(one.names.hosts.iter().map(|host| ("Host", host.to_string())));
        facts.extend(one.names.addresses.iter().map(|address| ("Address", address.to_string())));
        facts.extend(one.issued_to.iter().map(|who| ("Asked for by", who.to_string())));
        if let Some(revoked) = one.revoked {
            facts.push(("Revoked", format!("{} ({})", revoked.at, revoked.reason)));
        }
        Ok(output::facts(&facts)?)
    }
}

/// A certificate with AWS Private CA's words where it has them.
fn described(one: &Certificate, now: Timestamp) -> Value {
    json!({
        "Serial": one.serial,
        "Status": one.status(now).as_str(),
        "CertificateAuthorityArn": one.authority,
        "Principal": one.names.principal,
        "Hosts": one.names.hosts,
        "Addresses": one.names.addresses,
        "NotBefore": one.not_before.to_rfc3339(),
        "NotAfter": one.not_after.to_rfc3339(),
        "RevokedAt": one.revoked.map(|revoked| revoked.at.to_rfc3339()),
        "RevocationReason": one.revoked.map(|revoked| revoked.reason),
        "Certificate": pem::certificate(&one.certificate),
    })
}

impl From<TransitError> for CommandError {
    fn from(error: TransitError) -> Self {
        let exit = match &error {
            TransitError::ForgedRecord | TransitError::CutOff => Exit::Integrity,
            TransitError::Configuration(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
