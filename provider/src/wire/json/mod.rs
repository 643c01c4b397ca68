//! JSON as Newtonsoft writes and reads it (chapter 02 §1.2).

mod raw;
mod read;
mod write;

pub(super) use raw::{Raw, parse_flag, parse_int};
pub(super) use read::{MAX_DEPTH, Reader};
pub(super) use write::Writer;
