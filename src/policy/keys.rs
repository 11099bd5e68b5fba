//! Which condition keys exist.
//!
//! Source: "AWS global condition context keys" (IAM user guide) and "Condition keys for AWS KMS" (KMS developer
//! guide). A misspelt `aws:` or `kms:` key would be absent for ever, and a negated operator on it would hold for
//! ever; so a key that is not listed here counts as unknown. Keys of other services are taken as they come.

/// Global keys, in lower case.
const GLOBAL: &[&str] = &[
    "aws:assumedroot",
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:chatbotsourcearn",
    "aws:currenttime",
    "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:issuedby",
    "aws:ismcpserviceaction",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceidentity",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tagkeys",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:userid",
    "aws:username",
    "aws:viaawsmcpservice",
    "aws:viaawsservice",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "aws:vpcsourceip",
];

/// Keys of KMS, in lower case.
const KMS: &[&str] = &[
    "kms:bypasspolicylockoutsafetycheck",
    "kms:calleraccount",
    "kms:customermasterkeyspec",
    "kms:customermasterkeyusage",
    "kms:datakeypairspec",
    "kms:encryptionalgorithm",
    "kms:encryptioncontextkeys",
    "kms:expirationmodel",
    "kms:grantconstrainttype",
    "kms:granteeprincipal",
    "kms:grantisforawsresource",
    "kms:grantoperations",
    "kms:keyagreementalgorithm",
    "kms:keyorigin",
    "kms:keyspec",
    "kms:keyusage",
    "kms:macalgorithm",
    "kms:messagetype",
    "kms:multiregion",
    "kms:multiregionkeytype",
    "kms:primaryregion",
    "kms:reencryptonsamekey",
    "kms:replicaregion",
    "kms:requestalias",
    "kms:resourcealiases",
    "kms:retiringprincipal",
    "kms:rotationperiodindays",
    "kms:schedulekeydeletionpendingwindowindays",
    "kms:signingalgorithm",
    "kms:validto",
    "kms:viaservice",
    "kms:wrappingalgorithm",
    "kms:wrappingkeyspec",
];

/// Keys that go on after the prefix with a name of the customer's.
const WITH_NAME: &[&str] = &[
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "kms:encryptioncontext:",
    "kms:recipientattestation:",
];

/// Whether a key (in lower case) may be one.
pub(super) fn is_known(key: &str) -> bool {
    let named = |prefix: &&str| key.strip_prefix(*prefix).is_some_and(|name| !name.is_empty());
    match key.split_once(':') {
        Some(("aws" | "kms", _)) => {
            GLOBAL.contains(&key) || KMS.contains(&key) || WITH_NAME.iter().any(named)
        }
        Some((service, name)) => !service.is_empty() && !name.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_are_unknown() {
        for key in ["aws:principalarn", "kms:encryptioncontext:a:b", "aws:principaltag/team", "s3:prefix"] {
            assert!(is_known(key), "{key}");
        }
        for key in ["aws:principal", "kms:encryptioncontext:", "aws:principaltag/", "team", ":x", "s3:"] {
            assert!(!is_known(key), "{key}");
        }
    }
}
