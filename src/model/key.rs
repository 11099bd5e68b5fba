//! What a KMS key is: spec, usage, origin, state, manager and tier.
//!
//! The text of each is AWS's, from the KMS service model's enumerations.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an enumeration whose variants have AWS's spelling on the wire, in storage and in print.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// The text that AWS uses.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value that AWS writes as `text`.
            #[must_use]
            pub fn from_wire(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.as_str())
            }
        }
    };
}

wire_enum! {
    /// The type of key material.
    KeySpec {
        /// A 256-bit AES key.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
    }
}

wire_enum! {
    /// What a key may be used for.
    KeyUsage {
        /// Encrypt and decrypt.
        EncryptDecrypt = "ENCRYPT_DECRYPT",
    }
}

wire_enum! {
    /// The algorithm of a KMS ciphertext.
    EncryptionAlgorithm {
        /// AES-256-GCM under a key derived for the call.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
    }
}

wire_enum! {
    /// Where key material comes from.
    KeyOrigin {
        /// Made by KMS.
        AwsKms = "AWS_KMS",
    }
}

wire_enum! {
    /// The state of a KMS key ("Key states of AWS KMS keys", KMS developer guide).
    KeyState {
        /// Ready for use.
        Enabled = "Enabled",
        /// Switched off by somebody; can be switched on.
        Disabled = "Disabled",
        /// Waiting for the end of its deletion window.
        PendingDeletion = "PendingDeletion",
    }
}

wire_enum! {
    /// Who manages a key that a customer can see.
    KeyManager {
        /// An AWS service, on the customer's behalf.
        Aws = "AWS",
        /// The customer.
        Customer = "CUSTOMER",
    }
}

wire_enum! {
    /// Why a key's material was rotated.
    RotationType {
        /// By the key's rotation schedule.
        Automatic = "AUTOMATIC",
        /// By RotateKeyOnDemand.
        OnDemand = "ON_DEMAND",
    }
}

wire_enum! {
    /// The three kinds of KMS keys ("AWS KMS concepts", KMS developer guide).
    Tier {
        /// Owned by a service, in its own account; no customer sees it.
        AwsOwned = "AWS owned",
        /// In the customer's account, managed by a service.
        AwsManaged = "AWS managed",
        /// Made and managed by the customer.
        CustomerManaged = "customer managed",
    }
}

impl Tier {
    /// What `KeyManager` says of a key of this tier. No customer ever sees the answer for an AWS owned key.
    #[must_use]
    pub fn key_manager(self) -> KeyManager {
        match self {
            Self::CustomerManaged => KeyManager::Customer,
            Self::AwsOwned | Self::AwsManaged => KeyManager::Aws,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_on_the_wire_reads_back() {
        assert_eq!(KeyState::from_wire("PendingDeletion"), Some(KeyState::PendingDeletion));
        assert_eq!(KeyState::from_wire("pendingdeletion"), None);
        assert_eq!(serde_json::to_string(&KeySpec::SymmetricDefault).unwrap(), "\"SYMMETRIC_DEFAULT\"");
    }
}
