//! Why something stored could not be read.

/// Something that others wrote cannot be understood. Never carries payload: at most a name from
/// the protocol and a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The text is not JSON; the offset is in bytes.
    #[error("not valid JSON at byte {at}")]
    NotJson {
        /// Where reading stopped.
        at: usize,
    },
    /// JSON nested deeper than .NET reads (64 levels).
    #[error("JSON nested deeper than 64 levels")]
    TooDeep,
    /// The message was written with `UseDataContractSerialization`, which is not supported
    /// (chapter 02 §1.11).
    #[error(
        "the message was written in data-contract mode (UseDataContractSerialization), which is not supported"
    )]
    DataContract,
    /// An event type that this provider does not know; the first 100 characters of its name.
    #[error("unknown event type {0:?}")]
    UnknownEventType(String),
    /// A member or column without which the rest means nothing.
    #[error("{0} is missing")]
    MissingMember(&'static str),
    /// A member or column whose value has the wrong type or form.
    #[error("{0} has a value of the wrong type or form")]
    Corrupt(&'static str),
    /// A queue message that neither starts with `{` nor is standard padded Base64.
    #[error("neither JSON nor Base64")]
    NotBase64,
    /// Decoded or unpacked bytes that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A blob that is not gzip, or not all of it.
    #[error("not a complete gzip stream")]
    NotGzip,
    /// A blob that unpacks to more than the limit, in bytes.
    #[error("unpacks to more than {limit} bytes")]
    TooLarge {
        /// The limit that was exceeded.
        limit: u64,
    },
    /// A partition key that ends in a lone escape character.
    #[error("partition key ends in a lone '^'")]
    BadKey,
}
