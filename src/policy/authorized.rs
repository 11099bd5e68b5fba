//! Authority as a value: the proof that an action was allowed on one resource.
//!
//! Code that touches key material takes an [`Authorized`] and checks that it names the very key; only
//! [`Decision::authorize`](super::Decision::authorize) makes one. So no path reaches key material without a decision:
//! the compiler sees to it.

use std::{fmt, marker::PhantomData};

/// An action as policies name it. Implement it on an empty type per operation.
pub trait Action {
    /// The name, such as `kms:Decrypt`.
    const NAME: &'static str;
}

/// An action that everybody may do and no policy can forbid: asking who one is, and showing an MFA code for a session
/// ("Permissions for GetSessionToken", IAM user guide). Nothing that touches a key is one.
pub(crate) trait AlwaysAllowed: Action {}

/// The proof that `A` was allowed on one resource.
///
/// It cannot be written down:
///
/// ```compile_fail,E0451
/// use keystead::policy::{Action, Authorized};
/// struct Decrypt;
/// impl Action for Decrypt { const NAME: &'static str = "kms:Decrypt"; }
/// let forged = Authorized::<Decrypt> { resource: "arn".into(), action: std::marker::PhantomData };
/// ```
///
/// nor called into being:
///
/// ```compile_fail,E0624
/// use keystead::policy::{Action, Authorized};
/// struct Decrypt;
/// impl Action for Decrypt { const NAME: &'static str = "kms:Decrypt"; }
/// let forged = Authorized::<Decrypt>::new("arn".into());
/// ```
///
/// nor conjured up or copied:
///
/// ```compile_fail,E0277
/// use keystead::policy::{Action, Authorized};
/// struct Decrypt;
/// impl Action for Decrypt { const NAME: &'static str = "kms:Decrypt"; }
/// fn conjure<T: Default>() -> T { T::default() }
/// let forged: Authorized<Decrypt> = conjure();
/// ```
///
/// ```compile_fail,E0277
/// use keystead::policy::{Action, Authorized};
/// struct Decrypt;
/// impl Action for Decrypt { const NAME: &'static str = "kms:Decrypt"; }
/// fn twice<T: Clone>(proof: &T) -> T { proof.clone() }
/// let copy: fn(&Authorized<Decrypt>) -> Authorized<Decrypt> = twice;
/// ```
///
/// A decision gives it:
///
/// ```
/// use keystead::policy::*;
/// struct ListKeys;
/// impl Action for ListKeys { const NAME: &'static str = "kms:ListKeys"; }
///
/// let root = PrincipalFacts::new("arn:aws:iam::111122223333:root".parse()?);
/// let (nothing, context) = (Resource::none(), ConditionContext::new());
/// let decision = decide(&Request::new(&root, "kms:ListKeys", &nothing, &context));
/// let proof: Authorized<ListKeys> = decision.authorize()?;
/// assert_eq!(proof.resource(), "*");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Authorized<A: Action> {
    resource: String,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Authorized<A> {
    /// INVARIANT: only `Decision::authorize` calls this, for an allowed decision on `A`, and `always`.
    pub(super) fn new(resource: String) -> Self {
        Self { resource, action: PhantomData }
    }

    /// The proof for an action that needs no permission.
    pub(crate) fn always() -> Self
    where
        A: AlwaysAllowed,
    {
        Self::new("*".into())
    }

    /// The ARN of the resource on which `A` was allowed, or `*`.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

impl<A: Action> fmt::Debug for Authorized<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authorized({} on {})", A::NAME, self.resource)
    }
}
