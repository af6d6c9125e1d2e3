//! How often something may be done, for each of many keys, in memory that is fixed.
//!
//! [`Allowance`] is the arithmetic, [`Counts`] what was done by key. Neither knows what is counted, and
//! both take the time as an argument.

mod allowance;
mod counts;

pub use allowance::Allowance;
pub use counts::Counts;
