//! What the service would refuse, refused before it is sent, with a better message.

use crate::error::Result;
use crate::failure::Failure;
use crate::limits;
use crate::table::{Condition, MAX_TRANSACTION_BYTES, Write};

/// Checks the writes of a transaction, but for the size of its body.
pub(super) fn transaction(operation: &'static str, table: &str, writes: &[Write]) -> Result<()> {
    limits::transaction(writes).map_err(|failure| failure.into_error(operation, table))?;
    for (index, write) in writes.iter().enumerate() {
        etag(operation, table, write).map_err(|error| error.with_failed_index(index))?;
    }
    Ok(())
}

/// Checks the body of a transaction.
pub(super) fn transaction_size(operation: &'static str, table: &str, bytes: usize) -> Result<()> {
    if bytes <= MAX_TRANSACTION_BYTES {
        return Ok(());
    }
    let detail = format!("{bytes} bytes, {MAX_TRANSACTION_BYTES} are allowed");
    Err(Failure::too_large("ContentLengthExceeded", detail).into_error(operation, table))
}

/// Checks one write.
pub(super) fn write(operation: &'static str, table: &str, write: &Write) -> Result<()> {
    limits::write(write).map_err(|failure| failure.into_error(operation, table))?;
    etag(operation, table, write)
}

/// The ETag goes into a header line, of the request or inside of a transaction's body.
fn etag(operation: &'static str, table: &str, write: &Write) -> Result<()> {
    match write {
        Write::Replace(_, Condition::Matches(etag))
        | Write::Merge(_, Condition::Matches(etag))
        | Write::Delete {
            condition: Condition::Matches(etag),
            ..
        } if etag.0.is_empty() || etag.0.chars().any(char::is_control) => {
            let detail = "the ETag is empty or has a control character";
            Err(Failure::invalid("InvalidHeaderValue", detail).into_error(operation, table))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::table::ETag;

    #[test]
    fn an_etag_cannot_bring_headers_along() {
        let injected = Write::Delete {
            partition_key: "p".into(),
            row_key: "r".into(),
            condition: Condition::Matches(ETag("x\r\nX-Evil: 1".into())),
        };
        let error = transaction("transact", "t", &[injected]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.failed_index(), Some(0));
    }
}
