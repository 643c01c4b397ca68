//! Errors that keep their type and their fields on the way to an orchestrator.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Failure, payload};

/// The member that holds a payload which is no JSON object.
const BARE_MEMBER: &str = "value";

/// An error that an orchestrator can get back as what it was, from whichever worker ran the task.
///
/// Its fields travel as the failure's properties, which new .NET SDKs show and old ones ignore.
/// In the error mode `exceptions` failures have none, and [`Failure::downcast`] finds nothing.
///
/// ```
/// use durabletask_worker::prelude::*;
///
/// #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
/// #[error("declined: {missing_cents} cents are missing")]
/// struct Declined { missing_cents: u32 }
///
/// impl TypedError for Declined {
///     const TYPE: &'static str = "Shop.Declined";
/// }
///
/// #[activity]
/// async fn charge(_: ActivityContext, cents: u32) -> Result<u32> {
///     Err(Failure::typed(&Declined { missing_cents: cents }).non_retriable())
/// }
///
/// #[orchestrator]
/// async fn order(ctx: OrchestrationContext, cents: u32) -> Result<u32> {
///     match ctx.call(charge, cents).await {
///         Err(failure) => match failure.downcast::<Declined>() {
///             Some(declined) => Ok(declined.missing_cents),
///             None => Err(failure),
///         },
///         paid => paid,
///     }
/// }
/// ```
pub trait TypedError: Error + Serialize + DeserializeOwned {
    /// The wire type, which must not change: histories hold it.
    const TYPE: &'static str;
}

impl Failure {
    /// A failure that keeps the error's fields. (`?` keeps its type name and message only.)
    pub fn typed<E: TypedError>(error: &E) -> Self {
        let fields = match serde_json::to_value(error) {
            Ok(Value::Object(fields)) => fields,
            Ok(bare) => Map::from_iter([(BARE_MEMBER.to_owned(), bare)]),
            Err(reason) => return payload::unwritable(E::TYPE, &reason),
        };
        let mut failure = Self::from_error(error).with_type(E::TYPE);
        failure.set_properties(Value::Object(fields).to_string());
        failure
    }

    /// The error that this failure, or the first of its causes that is one, was made from with
    /// [`Failure::typed`]. `None` if there is none whose fields can be read.
    pub fn downcast<E: TypedError>(&self) -> Option<E> {
        let mut chain = self.details().chain();
        let found = chain.find(|failure| failure.error_type == E::TYPE)?;
        let mut fields: Map<String, Value> =
            serde_json::from_str(found.properties.as_deref()?).ok()?;
        let bare = fields.get(BARE_MEMBER).cloned();
        let whole = serde_json::from_value(Value::Object(std::mem::take(&mut fields)));
        whole.ok().or_else(|| serde_json::from_value(bare?).ok())
    }

    /// Whether this failure, or one of its causes, was made from an `E` with `?`, by a worker in
    /// which `E` has the same path.
    pub fn is<E: Error>(&self) -> bool {
        let name = std::any::type_name::<E>();
        self.details()
            .chain()
            .any(|failure| failure.error_type == name)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[error("wrong: {value}")]
    struct Wrong {
        value: u32,
    }

    impl TypedError for Wrong {
        const TYPE: &'static str = "Test.Wrong";
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
    enum Refused {
        #[error("late")]
        Late,
        #[error("full by {0}")]
        Full(u8),
    }

    impl TypedError for Refused {
        const TYPE: &'static str = "Test.Refused";
    }

    #[test]
    fn typed_errors_come_back_as_what_they_were() {
        let wrong = Failure::typed(&Wrong { value: 7 });
        assert_eq!(wrong.details().to_string(), "Test.Wrong: wrong: 7");
        assert_eq!(wrong.downcast(), Some(Wrong { value: 7 }));
        assert_eq!(wrong.downcast::<Refused>(), None);
        for refused in [Refused::Late, Refused::Full(2)] {
            assert_eq!(Failure::typed(&refused).downcast(), Some(refused));
        }
        let mut outer = Failure::new("A", "outer").details().clone();
        outer.inner = Some(Box::new(wrong.details().clone()));
        let nested = Failure::from_details(outer);
        assert_eq!(nested.downcast(), Some(Wrong { value: 7 }));
    }

    #[test]
    fn plain_errors_are_known_by_their_type_names() {
        let failure = Failure::from("x".parse::<u8>().unwrap_err());
        assert!(failure.is::<std::num::ParseIntError>());
        assert!(!failure.is::<std::fmt::Error>());
    }
}
