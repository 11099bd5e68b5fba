//! What the code may look like: which module may import which, who touches cryptography, who opens secrets.
//!
//! `docs/architecture.md` tells the shape; this file holds the code to it. Each check is a function of text, and is shown
//! below to find what it is there for.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module, what it may import, and why.
struct Module {
    name: &'static str,
    imports: &'static [&'static str],
    #[expect(dead_code, reason = "it is for whoever reads or changes the table")]
    why: &'static str,
}

const fn module(name: &'static str, imports: &'static [&'static str], why: &'static str) -> Module {
    Module { name, imports, why }
}

/// All modules, from the ground up. A module that stands lower never imports one that stands higher.
const MODULES: &[Module] = &[
    module("model", &[], "the nouns: pure data that everybody shares"),
    module("secret", &[], "secret bytes know nothing of what they are for"),
    module("crypto", &["secret"], "constructions on bytes; what the bytes mean is for those above"),
    module("policy", &["model"], "the policy language is pure: a request in, a decision out"),
    module("iam", &["model", "policy"], "identities carry their policies, parsed"),
    module("world", &["model", "policy", "iam"], "the state as one value; it holds no plaintext secret"),
    module("audit", &["model", "secret", "crypto"], "a log of records; it knows no operation and no state"),
    module("storage", &["secret", "crypto", "world", "audit"], "rows, tied to the log's position"),
    module(
        "envelope",
        &["model", "secret", "crypto"],
        "it reaches a KMS through one trait and works without ours",
    ),
    module("artifact", &["model", "secret", "crypto", "envelope"], "files and streams of envelopes"),
    module(
        "kms",
        &["model", "secret", "crypto", "policy", "iam", "world", "audit", "storage", "envelope"],
        "the door and the operations; of the envelope only the trait that it implements",
    ),
    module("transit", &["model", "secret", "crypto"], "TLS between two processes"),
    module(
        "services",
        &[
            "model", "secret", "crypto", "policy", "iam", "world", "audit", "envelope", "artifact", "kms",
            "transit",
        ],
        "simulated services call KMS as AWS's do, and never reach storage; of transit the making of certificates",
    ),
    module(
        "keystore",
        &["model", "secret", "crypto", "policy", "iam", "world", "audit", "storage", "kms", "services"],
        "puts everything together in one directory",
    ),
    module(
        "testing",
        &["model", "secret", "policy", "iam", "artifact", "envelope", "kms", "services", "keystore"],
        "keystores for other people's tests",
    ),
    module(
        "lab",
        &[
            "model", "secret", "crypto", "policy", "iam", "world", "audit", "envelope", "artifact", "kms",
            "transit", "services", "keystore", "testing",
        ],
        "seeds and lessons, made with what everybody can call",
    ),
    module(
        "api",
        &[
            "model", "secret", "crypto", "policy", "iam", "world", "audit", "kms", "transit", "services",
            "keystore",
        ],
        "the AWS wire",
    ),
    module(
        "cli",
        &[
            "model", "secret", "crypto", "policy", "iam", "world", "audit", "storage", "envelope",
            "artifact", "kms", "transit", "services", "keystore", "testing", "lab", "api",
        ],
        "the top: it may use everything, and nothing uses it",
    ),
    module("main", &["cli"], "parse, run, exit code"),
    module("lib", &[], "it only declares"),
];

/// The only files that may open a secret, and what for.
const EXPOSES_SECRETS: &[(&str, &str)] = &[
    ("src/cli/global.rs", "a passphrase that was typed once is used twice when the root key is rotated"),
    ("src/cli/query.rs", "an access key's secret or an MFA device's seed is shown once, on standard output"),
    ("src/secret/mod.rs", "defines it"),
    ("src/cli/endpoint.rs", "an access key that was just made is written to a file of the user's"),
    ("src/cli/exec.rs", "a command gets an access key in its environment"),
    ("src/api/kms/operations/cryptography.rs", "Decrypt and GenerateDataKey answer plaintexts over the wire"),
    ("src/api/query/operations.rs", "CreateAccessKey answers the secret, once"),
    ("src/api/server/authenticate.rs", "a secret access key is copied to derive a signing key of it"),
    ("src/crypto/aead.rs", "AES-GCM takes key bytes"),
    ("src/crypto/digest.rs", "HMAC takes key bytes"),
    ("src/crypto/frame.rs", "AES-GCM takes key bytes"),
    ("src/crypto/kdf.rs", "HKDF takes key bytes"),
    ("src/crypto/password.rs", "Argon2id takes the passphrase"),
    ("src/crypto/rsa.rs", "RSA takes and gives plaintexts"),
    ("src/crypto/rsa_signature.rs", "RSA takes the private key"),
    ("src/crypto/signature.rs", "Ed25519 takes the seed"),
    ("src/crypto/totp.rs", "HMAC takes an MFA device's seed"),
    ("src/kms/client.rs", "a data key is encrypted for one more recipient"),
    ("src/kms/encrypt.rs", "plaintexts and data keys are sealed under a KMS key"),
    ("src/kms/material.rs", "materials are wrapped and unwrapped"),
    ("src/kms/secrets.rs", "the secrets of credentials are wrapped"),
    ("src/envelope/raw_aes.rs", "a raw key wraps data keys"),
    ("src/envelope/raw_rsa.rs", "a raw key wraps data keys"),
    (
        "src/envelope/seal.rs",
        "the commitment is derived with the keys, and stands in the header for all to see",
    ),
    ("src/transit/identity.rs", "TLS signs with the holder's private key"),
    ("src/transit/pem.rs", "a private key is written where its holder asks"),
    ("src/transit/x509.rs", "an authority signs with its private key"),
    ("src/keystore/mod.rs", "the log's signing key is wrapped"),
    ("src/keystore/seal.rs", "the root key is sealed, and key files are written"),
];

/// Crates that do cryptography, and the one folder that may import them.
const CRYPTO_CRATES: &[&str] = &[
    "aes_gcm",
    "aws_lc_rs",
    "hkdf",
    "hmac",
    "sha2",
    "argon2",
    "rand",
    "rsa",
    "ring",
    "ed25519_dalek",
    "jsonwebtoken",
    "pem_rfc7468",
    "ed25519_dalek",
];

const FILE_LINES_MAX: usize = 600;
const README_LINES_MAX: usize = 150;

struct SourceFile {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The module that the file belongs to.
    fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// Whether it holds tests alone.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The code that is shipped: without comments, and without the tests at the end.
    fn code(&self) -> String {
        let mut tests = self.text.match_indices("\n#[cfg(test)]\nmod ").map(|(at, _)| at);
        // `mod tests;` among the declarations is another file; `mod tests {` is the end of this one.
        let inline = |at: &usize| self.text[*at..].lines().nth(2).is_some_and(|line| line.contains('{'));
        let shipped = &self.text[..tests.find(inline).unwrap_or(self.text.len())];
        let lines = shipped.lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// The modules of the crate that some code names by `crate::`, alone or in braces; `$crate::` in a macro too.
fn imported_modules(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(first_names(list)),
            None => found.extend(leading_name(rest)),
        }
    }
    found
}

fn leading_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first name of each path in a list in braces, whose opening brace has been read.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut path, mut names) = (1, String::new(), Vec::new());
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.extend(leading_name(std::mem::take(&mut path).trim())),
            _ if depth == 1 => path.push(character),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.extend(leading_name(path.trim()));
    names
}

fn wrong_imports(files: &[SourceFile]) -> Vec<String> {
    let table: BTreeMap<&str, &[&str]> = MODULES.iter().map(|module| (module.name, module.imports)).collect();
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let module = file.module();
        let Some(allowed) = table.get(module) else {
            wrong.push(format!("{}: the module `{module}` is not in the table", file.path));
            continue;
        };
        for name in imported_modules(&file.code()) {
            // What is no module is an item of the crate's root, which is declared in one of them.
            if name != module && table.contains_key(name.as_str()) && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{module}` must not import `{name}`", file.path));
            }
        }
    }
    wrong
}

fn unknown_modules(lib: &str) -> Vec<String> {
    let declared = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let names = declared.filter_map(leading_name);
    names.filter(|name| MODULES.iter().all(|module| module.name != name)).collect()
}

fn wrong_crypto(files: &[SourceFile]) -> Vec<String> {
    let outside = files.iter().filter(|file| file.module() != "crypto" && !file.is_test());
    let named = outside.flat_map(|file| {
        let code = file.code();
        let names = CRYPTO_CRATES.iter().filter(move |name| {
            code.contains(&format!("use {name}::")) || code.contains(&format!("use {name};")) || {
                code.match_indices(&format!("{name}::")).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
                })
            }
        });
        names.map(|name| format!("{}: `{name}`", file.path)).collect::<Vec<_>>()
    });
    named.collect()
}

fn exposers(files: &[SourceFile]) -> BTreeSet<&str> {
    let exposing = files.iter().filter(|file| !file.is_test() && file.code().contains("expose_secret"));
    exposing.map(|file| file.path.as_str()).collect()
}

fn badly_begun(files: &[SourceFile]) -> Vec<&str> {
    files.iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path.as_str()).collect()
}

fn unsafe_files(files: &[SourceFile]) -> Vec<&str> {
    let says = |file: &&SourceFile| {
        let code = file.code();
        code.match_indices("unsafe").any(|(at, _)| {
            let end = code[at + "unsafe".len()..].chars().next();
            let start = code[..at].chars().next_back();
            ![start, end].iter().flatten().any(|c| c.is_ascii_alphanumeric() || *c == '_')
        })
    };
    files.iter().filter(says).map(|file| file.path.as_str()).collect()
}

fn too_long(files: &[SourceFile]) -> Vec<String> {
    let long = files.iter().filter(|file| file.text.lines().count() > FILE_LINES_MAX);
    long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect()
}

/// Lines that name a place on somebody's machine.
fn machine_paths(files: &[SourceFile]) -> Vec<String> {
    // Put together here, or this file would be one of them.
    let places = ["home", "Users", "root", "work"].map(|place| format!("/{place}/"));
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let named = places.iter().any(|place| {
                // A path of the machine begins there; `docs/work/x` does not.
                line.match_indices(place.as_str())
                    .any(|(at, _)| line[..at].chars().next_back().is_none_or(|c| " \"'`(=<[".contains(c)))
            });
            if named {
                found.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    found
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
                let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(SourceFile { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn sources() -> Vec<SourceFile> {
    let sources = files_under("src", &["rs"]);
    assert!(sources.len() > 50, "the sources were found");
    sources
}

#[test]
fn no_module_imports_one_above_it() {
    let wrong = wrong_imports(&sources());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let unknown = unknown_modules(&fs::read_to_string(repository().join("src/lib.rs")).unwrap());
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}

#[test]
fn the_table_has_no_circle() {
    let place = |name: &str| MODULES.iter().position(|module| module.name == name);
    for module in MODULES {
        for import in module.imports {
            assert!(place(import) < place(module.name), "`{}` stands below `{import}`", module.name);
        }
    }
}

#[test]
fn kms_knows_of_the_envelope_only_the_trait_it_implements() {
    let sources = sources();
    let kms = sources.iter().filter(|file| file.module() == "kms" && file.path != "src/kms/client.rs");
    let importers: Vec<_> = kms
        .filter(|file| imported_modules(&file.code()).contains("envelope"))
        .map(|file| &file.path)
        .collect();
    assert!(importers.is_empty(), "{importers:?}");
    let client = sources.iter().find(|file| file.path == "src/kms/client.rs").unwrap().code();
    for name in ["seal(", "open(", "KmsKeyring", "RawAesKeyring"] {
        assert!(!client.contains(name), "{name}");
    }
}

#[test]
fn only_crypto_imports_cryptography() {
    let wrong = wrong_crypto(&sources());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn exactly_the_listed_files_open_secrets() {
    let sources = sources();
    let listed: BTreeSet<&str> = EXPOSES_SECRETS.iter().map(|(path, _)| *path).collect();
    assert_eq!(exposers(&sources), listed);
}

#[test]
fn every_file_says_what_it_is_and_none_is_long_or_unsafe() {
    let mut files = sources();
    assert_eq!(unsafe_files(&files), Vec::<&str>::new());
    for folder in ["tests", "examples", "benches"] {
        files.extend(files_under(folder, &["rs"]));
    }
    assert_eq!(badly_begun(&files), Vec::<&str>::new());
    assert_eq!(too_long(&files), Vec::<String>::new());
    if let Ok(readme) = fs::read_to_string(repository().join("README.md")) {
        assert!(readme.lines().count() <= README_LINES_MAX);
    }
}

#[test]
fn no_file_names_a_place_on_a_machine() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches", "docs", "keystore"] {
        files.extend(files_under(folder, &["rs", "md", "toml", "py", "sh"]));
    }
    assert_eq!(machine_paths(&files), Vec::<String>::new());
}

#[test]
fn each_check_finds_what_it_is_for() {
    let import = |path: &str, text: &str| wrong_imports(&[SourceFile::new(path, text)]);
    assert_eq!(
        import("src/crypto/aead.rs", "use crate::kms::Door;"),
        ["src/crypto/aead.rs: `crypto` must not import `kms`"]
    );
    assert_eq!(
        import("src/model/key.rs", "use crate::{\n    model::Arn,\n    world::{Key, World},\n};").len(),
        1
    );
    assert_eq!(import("src/services/s3/mod.rs", "fn x() { crate::storage::open() }").len(), 1);
    assert_eq!(import("src/audit/mod.rs", "\n#[cfg(test)]\nmod tests;\n\nuse crate::kms::Door;").len(), 1);
    assert_eq!(import("src/policy/mod.rs", "macro_rules! m { () => { $crate::kms::x() } }").len(), 1);
    assert_eq!(
        import("src/novelty/mod.rs", ""),
        ["src/novelty/mod.rs: the module `novelty` is not in the table"]
    );
    assert!(import("src/crypto/aead.rs", "use crate::secret::SecretKey; // crate::kms::Door").is_empty());
    assert!(import("src/iam/mod.rs", "use crate::{iam::x, model, policy::{self, kms}};").is_empty());
    assert_eq!(unknown_modules("pub mod model;\nmod novelty;\n"), ["novelty"]);

    let crypto = |path: &str, text: &str| wrong_crypto(&[SourceFile::new(path, text)]).len();
    assert_eq!(crypto("src/kms/x.rs", "use sha2::Sha256;"), 1);
    assert_eq!(crypto("src/kms/x.rs", "let h = hmac::Hmac::new();"), 1);
    assert_eq!(crypto("src/kms/x.rs", "use crate::crypto::rand::x;"), 0);
    assert_eq!(crypto("src/crypto/x.rs", "use sha2::Sha256;"), 0);

    let exposing = [
        SourceFile::new("src/a.rs", "x.expose_secret()"),
        SourceFile::new("src/b.rs", "// expose_secret\n\n#[cfg(test)]\nmod tests { x.expose_secret() }"),
    ];
    assert_eq!(exposers(&exposing), BTreeSet::from(["src/a.rs"]));
    assert_eq!(badly_begun(&[SourceFile::new("src/a.rs", "use x;")]), ["src/a.rs"]);
    assert_eq!(unsafe_files(&[SourceFile::new("src/a.rs", "fn x() { unsafe { y() } }")]), ["src/a.rs"]);
    assert!(unsafe_files(&[SourceFile::new("src/a.rs", "#![forbid(unsafe_code)] // unsafe")]).is_empty());
    assert_eq!(too_long(&[SourceFile::new("src/a.rs", &"x\n".repeat(FILE_LINES_MAX + 1))]).len(), 1);
    let home = format!("see /{}/somebody/notes", "home");
    assert_eq!(machine_paths(&[SourceFile::new("docs/a.md", &home)]).len(), 1);
    assert!(
        machine_paths(&[SourceFile::new("docs/a.md", "alias/home/x and arn:aws:iam::1:root")]).is_empty()
    );
}
