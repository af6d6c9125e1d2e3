//! HTTP/1.1 and HTTP/2 as `listener`, `gate` and `upstream` speak them: framing, timers, limits, drain.

pub mod executor;
pub mod http1;
pub mod read_ahead;
pub mod server;
