//! The Sid element: a statement's id, which decisions name.
//!
//! IAM User Guide: reference_policies_elements_sid, reference_policies_grammar.

use crate::policy::diagnostic::Problem;
use crate::policy::document::json::{Member, Node};
use crate::policy::document::options::{Attachment, Options};
use crate::policy::document::reporter::Reporter;

pub(in crate::policy) fn compile_sid(
    member: &Member<'_>,
    options: &Options<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Box<str>> {
    let Some(text) = member.value.text() else {
        reporter.enter("Sid", |reporter| {
            reporter.wrong_type(&member.value, "a string");
        });
        return None;
    };
    // Only identity policies are limited to letters and digits: AWS's examples of endpoint policies
    // have Sids such as `Access-to-specific-bucket-only`.
    let is_refused = match options.attachment {
        Attachment::Identity => !is_alphanumeric(text),
        Attachment::Endpoint => text.contains("${"),
    };
    if is_refused && options.is_strict() {
        reporter.enter("Sid", |reporter| {
            reporter.error(member.value.start, form_problem(text));
        });
    }
    (!text.is_empty()).then(|| text.into())
}

pub(in crate::policy) fn form_problem(text: &str) -> Problem {
    let message = format!("the Sid `{text}` has more than letters and digits");
    Problem::new("sid-form", message).fix("use a-z, A-Z and 0-9 only")
}

/// Whether a Sid has only letters and digits.
pub(in crate::policy) fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The Sids in a Statement element that an earlier statement already has, with their offsets.
pub(in crate::policy) fn duplicates<'t>(element: &'t Node<'_>) -> Vec<(&'t str, usize)> {
    let nodes = element.list().unwrap_or(&[]).iter();
    let mut sids: Vec<(&str, usize)> = nodes
        .filter_map(|node| node.member("Sid"))
        .filter_map(|sid| sid.text().map(|text| (text, sid.start)))
        .filter(|(text, _)| !text.is_empty())
        .collect();
    sids.sort_unstable();
    let pairs = sids.windows(2).filter_map(|pair| match pair {
        [(first, _), second] if first == &second.0 => Some(*second),
        _ => None,
    });
    pairs.collect()
}
