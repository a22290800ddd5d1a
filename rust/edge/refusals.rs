//! What the edge turns away, counted by reason.

use crate::hub::stats::Counter;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $reason:ident,)*) => {
        #[derive(Debug, Default)]
        pub struct Refusals {
            $($(#[doc = $doc])* pub $reason: Counter,)*
        }

        impl Refusals {
            /// By reason, as the monitor names them.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($reason), self.$reason.get()),)*]
            }
        }
    };
}

refusals! {
    too_many_connections,
    too_many_of_address,
    /// The system did not hand a connection over: no descriptor is free, say.
    accept_failed,
    /// Too slow in sending a head or a body, or in taking an answer.
    too_slow,
    /// Not HTTP, a head over its bound, or a body that broke off.
    malformed,
    /// The application could not be reached.
    upstream_unavailable,
    /// The application has as much under way as it may, or as many sign-ins, or as many long bodies are held, or
    /// as much of answers that nobody reads.
    overloaded,
}
