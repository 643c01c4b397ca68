//! Counts what an account is billed for.

use std::fmt;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layered::{Call, Layer, wrap};
use super::{Operation, Outcome, Service};
use crate::Account;

/// Counters of one account. A call counts when it is made, whatever becomes of it; retries inside
/// of the backend are not seen.
#[derive(Debug)]
pub struct Metered {
    calls: Vec<AtomicU64>,
    gets_with_messages: AtomicU64,
}

/// How often each kind of call was made. The difference of two of these is the price of what was
/// done in between; `Display` writes a table of the rows that are not zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Prices {
    calls: Vec<u64>,
    gets_with_messages: u64,
}

impl Metered {
    /// The account, counted, and its counters.
    pub fn wrap(account: Account) -> (Account, Arc<Self>) {
        let metered = Arc::new(Self {
            calls: Operation::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            gets_with_messages: AtomicU64::new(0),
        });
        (wrap(account, &metered), metered)
    }

    /// All counts so far.
    pub fn snapshot(&self) -> Prices {
        Prices {
            // First, so that a get that ends meanwhile is not among the empty ones twice.
            gets_with_messages: self.gets_with_messages.load(Ordering::Relaxed),
            calls: self
                .calls
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
        }
    }
}

impl Layer for Metered {
    type Ticket = Operation;

    async fn start(&self, call: Call<'_>) -> Operation {
        self.calls[call.operation as usize].fetch_add(1, Ordering::Relaxed);
        call.operation
    }

    async fn end(&self, operation: Operation, outcome: Outcome) {
        if operation == Operation::GetMessages && matches!(outcome, Outcome::Done(1..)) {
            self.gets_with_messages.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Prices {
    /// Calls of that kind.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.calls[operation as usize]
    }

    /// Receives that brought messages.
    pub fn gets_with_messages(&self) -> u64 {
        self.gets_with_messages
    }

    /// Receives that brought nothing, failed ones included: what idling costs.
    pub fn gets_empty(&self) -> u64 {
        self.calls(Operation::GetMessages)
            .saturating_sub(self.gets_with_messages)
    }

    /// Calls to one service.
    pub fn service(&self, service: Service) -> u64 {
        Operation::ALL
            .iter()
            .filter(|operation| operation.service() == service)
            .map(|operation| self.calls(*operation))
            .sum()
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// All calls but the empty receives: what the work itself costs.
    pub fn total_without_empty_gets(&self) -> u64 {
        self.total().saturating_sub(self.gets_empty())
    }
}

impl Sub for &Prices {
    type Output = Prices;

    fn sub(self, earlier: Self) -> Prices {
        let calls = self.calls.iter().zip(&earlier.calls);
        Prices {
            calls: calls.map(|(now, then)| now.saturating_sub(*then)).collect(),
            gets_with_messages: self
                .gets_with_messages
                .saturating_sub(earlier.gets_with_messages),
        }
    }
}

impl fmt::Display for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |service: Service, name: &str, count: u64| {
            if count == 0 {
                return Ok(());
            }
            writeln!(f, "{service:<7} {name:<27} {count:>8}")
        };
        for &operation in Operation::ALL {
            let (service, name) = (operation.service(), operation.name());
            if operation == Operation::GetMessages {
                line(
                    service,
                    "get_messages, with messages",
                    self.gets_with_messages,
                )?;
                line(service, "get_messages, empty", self.gets_empty())?;
            } else {
                line(service, name, self.calls(operation))?;
            }
        }
        write!(
            f,
            "total   {:<27} {:>8}",
            format!(
                "{} Q + {} T + {} B",
                self.service(Service::Queues),
                self.service(Service::Tables),
                self.service(Service::Blobs)
            ),
            self.total()
        )
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
