//! A policy document: its JSON with positions, its elements, AWS's validation, and compilation.

mod aws_validation;
pub(super) mod compile;
mod conditions;
mod intern;
pub mod json;
pub(super) mod options;
mod principal;
pub(super) mod reporter;
pub(super) mod sid;
mod statement;
