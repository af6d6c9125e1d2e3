//! The rate limit of each of many keys, in fixed memory.
//!
//! [`Gcra`] is the arithmetic, [`KeyedLimiter`] its state by key. Neither knows the kind of thing
//! that is limited; both take the time as an argument.

mod gcra;
mod keyed_limiter;

pub use gcra::Gcra;
pub use keyed_limiter::KeyedLimiter;
