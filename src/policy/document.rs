//! A policy document, read and checked: JSON with positions, elements, AWS's own rules, and what
//! they compile to.

pub(super) mod aws_validation;
pub(super) mod compile;
pub(super) mod element;
pub(super) mod intern;
pub mod json;
pub(super) mod sid;
