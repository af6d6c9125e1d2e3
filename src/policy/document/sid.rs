//! The Sid element.
//!
//! IAM User Guide: reference_policies_elements_sid, reference_policies_grammar.

use crate::policy::diagnostic::Problem;
use crate::policy::document::compile::{Attachment, Reporter, Strictness};
use crate::policy::document::element::Scope;
use crate::policy::document::json::Member;

pub(in crate::policy) fn read(
    member: &Member<'_>,
    scope: &Scope<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Box<str>> {
    let mut found = None;
    reporter.enter("Sid", |reporter| match member.value.text() {
        None => reporter.wrong_type(&member.value, "a string"),
        Some(text) => {
            // Only IAM's own policies are bound to letters and digits: AWS's examples of endpoint
            // policies have Sids such as `Access-to-specific-bucket-only`.
            let refused = match scope.attachment {
                Attachment::Identity => !is_plain(text),
                Attachment::Endpoint => text.contains("${"),
            };
            if refused && scope.strictness == Strictness::Aws {
                reporter.error(member.value.start, form_problem(text));
            }
            found = (!text.is_empty()).then(|| text.into());
        }
    });
    found
}

pub(in crate::policy) fn form_problem(text: &str) -> Problem {
    Problem::new(
        "sid-form",
        format!("the Sid `{text}` has more than letters and digits"),
    )
    .fix("use a-z, A-Z and 0-9 only")
}

/// Letters and digits only.
pub(in crate::policy) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
