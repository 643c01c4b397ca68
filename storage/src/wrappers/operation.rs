//! The kinds of storage calls.

use std::fmt;

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Queue service.
    Queues,
    /// Table service.
    Tables,
    /// Blob service.
    Blobs,
}

macro_rules! operations {
    ($($service:ident { $($operation:ident = $name:literal,)* })*) => {
        /// A kind of call: the methods of the three services.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Operation {
            $($(
                #[doc = concat!("`", $name, "`")]
                $operation,
            )*)*
        }

        impl Operation {
            /// All of them, in the order of the enumeration.
            pub const ALL: &[Self] = &[$($(Self::$operation,)*)*];

            /// The service it belongs to.
            pub const fn service(self) -> Service {
                match self {
                    $($(Self::$operation)|* => Service::$service,)*
                }
            }

            /// The trait method's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$operation => $name,)*)*
                }
            }
        }
    };
}

operations! {
    Queues {
        CreateQueue = "create_queue",
        DeleteQueue = "delete_queue",
        ListQueues = "list_queues",
        PutMessage = "put_message",
        GetMessages = "get_messages",
        PeekMessages = "peek_messages",
        UpdateMessage = "update_message",
        DeleteMessage = "delete_message",
        CountMessages = "count_messages",
    }
    Tables {
        CreateTable = "create_table",
        DeleteTable = "delete_table",
        ListTables = "list_tables",
        GetRow = "get_row",
        Query = "query",
        Write = "write",
        Transact = "transact",
    }
    Blobs {
        CreateContainer = "create_container",
        DeleteContainer = "delete_container",
        ListContainers = "list_containers",
        PutBlob = "put_blob",
        GetBlob = "get_blob",
        DeleteBlob = "delete_blob",
        ListBlobs = "list_blobs",
        AcquireLease = "acquire_lease",
        RenewLease = "renew_lease",
        ReleaseLease = "release_lease",
        ChangeLease = "change_lease",
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queues => "queues",
            Self::Tables => "tables",
            Self::Blobs => "blobs",
        })
    }
}
