//! Asking before something is destroyed.

use std::io::{self, Write};

use crate::failure::Failure;
use crate::output::{Output, printable};

/// Goes on if `yes` was said on the command line, or if a person says so when asked. `what` is a
/// sentence without its full stop that names what is destroyed.
pub(crate) fn confirm(output: Output, yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !output.has_person() {
        return Err(Failure::Unconfirmed(what.to_owned()));
    }
    let mut terminal = io::stderr().lock();
    write!(terminal, "{}. Go on? [y/N] ", printable(&capitalised(what)))?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let answer = answer.trim().to_lowercase();
    if answer == "y" || answer == "yes" {
        Ok(())
    } else {
        Err(Failure::Declined)
    }
}

fn capitalised(sentence: &str) -> String {
    let mut rest = sentence.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).collect()
}
