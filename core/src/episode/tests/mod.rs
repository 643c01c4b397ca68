//! Tests of episodes.
