//! What every backend must do, as a list of named checks.
//!
//! A backend's tests run [`checks`] one by one, each with a prefix of its own, and report those
//! that fail. Checks that depend on time wait for what they expect, with a deadline in the time of
//! the given [`Env`]; in virtual time they take no time at all.

mod blobs;
mod leases;
mod queries;
mod queues;
mod tables;
mod transactions;

use std::fmt::Debug;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::{Account, Env, ErrorKind, StorageError};

/// How long a check waits for what must come.
const PATIENCE: Duration = Duration::from_secs(45);
/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One named expectation.
pub struct Check {
    name: &'static str,
    service_only: bool,
    slow: bool,
    run: fn(Bench) -> LocalBoxFuture<'static, Outcome>,
}

impl Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Check {
    /// What is expected, as module and sentence: `queues::hides_what_was_received`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether Azurite is known to differ here; the live service and the embedded store do not.
    pub fn is_service_only(&self) -> bool {
        self.service_only
    }

    /// Whether it takes more than about 5 s of the backend's time, or thousands of calls.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    /// Runs the check in `account`. Queues, tables and containers that it makes have names that
    /// start with `prefix`: at most 20 lower-case letters and digits, a letter first.
    pub async fn run(&self, account: Account, env: Env, prefix: &str) -> Result<(), String> {
        let bench = Bench {
            account,
            env,
            prefix: prefix.to_owned(),
        };
        (self.run)(bench).await.map_err(|Broken(what)| what)
    }

    fn service_only(mut self) -> Self {
        self.service_only = true;
        self
    }

    fn slow(mut self) -> Self {
        self.slow = true;
        self
    }
}

macro_rules! check {
    ($($path:ident)::+) => {
        Check {
            name: stringify!($($path)::+),
            service_only: false,
            slow: false,
            run: |bench| Box::pin($($path)::+(bench)),
        }
    };
}

/// All checks, in a fixed order.
pub fn checks() -> Vec<Check> {
    vec![
        check!(queues::come_and_go),
        check!(queues::missing_ones_are_not_found),
        check!(queues::keep_texts_exactly),
        check!(queues::refuse_what_xml_forbids),
        check!(queues::refuse_numbers_out_of_range),
        check!(queues::hide_what_was_received),
        check!(queues::honour_a_receipt_until_the_next_receive),
        check!(queues::hide_what_was_put_invisible),
        check!(queues::accept_the_receipt_of_a_put),
        check!(queues::replace_text_and_receipt_on_update),
        check!(queues::hand_out_in_order_of_visibility),
        check!(queues::change_nothing_on_peek),
        check!(queues::give_each_message_to_one_receiver),
        check!(tables::come_and_go),
        check!(tables::missing_ones_are_not_found),
        check!(tables::keep_typed_values),
        check!(tables::keep_odd_keys),
        check!(tables::refuse_illegal_keys),
        check!(tables::refuse_early_dates).service_only(),
        check!(tables::insert_once),
        check!(tables::check_etags),
        check!(tables::merge_and_replace),
        check!(transactions::are_all_or_nothing),
        check!(transactions::name_the_write_that_failed),
        check!(transactions::refuse_illegal_ones),
        check!(transactions::let_one_of_many_writers_win),
        check!(tables::limit_rows_and_strings),
        check!(queries::sort_by_utf16_units),
        check!(queries::page_by_top),
        check!(queries::page_by_a_thousand),
        check!(queries::select_columns),
        check!(queries::filter_rows),
        check!(queries::compare_numbers_of_different_types).service_only(),
        check!(queries::compare_dates_to_the_tick).service_only(),
        check!(queries::refuse_malformed_filters).service_only(),
        check!(blobs::containers_come_and_go),
        check!(blobs::missing_ones_are_not_found),
        check!(blobs::keep_content),
        check!(blobs::check_conditions),
        check!(blobs::list_by_prefix),
        check!(blobs::list_in_pages).slow(),
        check!(leases::have_one_holder),
        check!(leases::guard_writes),
        check!(leases::guard_containers),
        check!(leases::refuse_illegal_lengths),
        check!(leases::run_out).slow(),
        check!(leases::can_be_renewed_late).slow(),
    ]
}

type Outcome = Result<(), Broken>;

/// An expectation that did not hold.
struct Broken(String);

impl From<StorageError> for Broken {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

/// What a check works with.
struct Bench {
    account: Account,
    env: Env,
    prefix: String,
}

impl Bench {
    async fn queue(&self) -> Result<String, Broken> {
        let name = format!("{}q", self.prefix);
        self.account.queues.create_queue(&name).await?;
        Ok(name)
    }

    async fn table(&self) -> Result<String, Broken> {
        let name = format!("{}t", self.prefix);
        self.account.tables.create_table(&name).await?;
        Ok(name)
    }

    async fn container(&self) -> Result<String, Broken> {
        let name = format!("{}c", self.prefix);
        self.account.blobs.create_container(&name).await?;
        Ok(name)
    }

    /// Looks again and again until `look` finds something.
    async fn eventually<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, Broken>,
    ) -> Result<T, Broken> {
        let deadline = self.env.monotonic() + PATIENCE;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if self.env.monotonic() > deadline {
                return Err(Broken(format!("{what}: not within {PATIENCE:?}")));
            }
            self.env.sleep(LOOK_AGAIN).await;
        }
    }
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Broken(what.to_owned()))
    }
}

/// `what` holds if `found` is `expected`. By reference, because tables of cases are common.
fn ensure_equal<T>(found: &T, expected: &T, what: &str) -> Outcome
where
    T: PartialEq + Debug,
{
    if found == expected {
        Ok(())
    } else {
        Err(Broken(format!(
            "{what}: found {found:?}, expected {expected:?}"
        )))
    }
}

/// The error of something that must be refused with this meaning.
fn ensure_refused<T>(
    result: crate::Result<T>,
    kind: ErrorKind,
    what: &str,
) -> Result<StorageError, Broken> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Broken(format!("{what}: {error}, expected {kind:?}"))),
        Ok(_) => Err(Broken(format!("{what}: accepted, expected {kind:?}"))),
    }
}
