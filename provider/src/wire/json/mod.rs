//! JSON as Newtonsoft writes and reads it.
