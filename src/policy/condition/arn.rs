//! Values of the Arn operators: an ARN matches segment by segment between colons.
//!
//! IAM User Guide: reference_policies_elements_condition_operators (Conditions_ARN).

use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::request::Context;
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// One value of an Arn operator.
#[derive(Clone, Debug)]
pub(in crate::policy) enum ArnValue {
    /// Six segments, each a pattern of its own; the sixth takes the rest.
    Segments(Box<[Pattern; 6]>),
    /// Fewer than six segments. Variables may complete the value to an ARN.
    Whole(Pattern),
}

impl ArnValue {
    pub(in crate::policy) fn parse(value: &str, variables: bool) -> Result<ArnValue, Problem> {
        let syntax = Syntax {
            has_variables: variables,
            ..Syntax::WILDCARDS
        };
        let pattern = |text: &str| Pattern::parse(text, syntax);
        match segments(value, variables) {
            Some([a, b, c, d, e, f]) => Ok(ArnValue::Segments(Box::new([
                pattern(a)?,
                pattern(b)?,
                pattern(c)?,
                pattern(d)?,
                pattern(e)?,
                pattern(f)?,
            ]))),
            None => Ok(ArnValue::Whole(pattern(value)?)),
        }
    }

    pub(in crate::policy) fn matches(&self, text: &str, context: &dyn Context) -> Match {
        // CONTESTED: a request value that is no ARN.
        if text.bytes().filter(|&byte| byte == b':').count() < 5 {
            return Match::Maybe;
        }
        match self {
            ArnValue::Segments(patterns) => patterns
                .iter()
                .zip(text.splitn(6, ':'))
                .map(|(pattern, segment)| pattern.matches(segment, context))
                .fold(Match::Yes, Match::and),
            // CONTESTED: a pattern that is no ARN but would match the text.
            ArnValue::Whole(pattern) => {
                let found = pattern.matches(text, context);
                let is_certain = pattern.has_variables() && !pattern.has_wildcards();
                if is_certain {
                    found
                } else {
                    found.at_most_maybe()
                }
            }
        }
    }

    /// Whether the value cannot be an ARN, whatever its variables are.
    pub(in crate::policy) fn is_malformed(&self) -> bool {
        matches!(self, ArnValue::Whole(pattern) if !pattern.has_variables())
    }

    pub(in crate::policy) fn patterns(&self) -> &[Pattern] {
        match self {
            ArnValue::Segments(patterns) => &**patterns,
            ArnValue::Whole(pattern) => std::slice::from_ref(pattern),
        }
    }
}

/// Splits an ARN at the first five colons outside of variables; `None` if it has fewer.
pub(in crate::policy) fn segments(text: &str, variables: bool) -> Option<[&str; 6]> {
    let mut ends = [0; 5];
    let mut found = 0;
    let mut inside = false;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '$' if variables && rest.peek().is_some_and(|&(_, next)| next == '{') => inside = true,
            '}' => inside = false,
            ':' if !inside => {
                *ends.get_mut(found)? = at;
                found += 1;
                if found == 5 {
                    break;
                }
            }
            _ => {}
        }
    }
    if found < 5 {
        return None;
    }
    let [a, b, c, d, e] = ends;
    Some([
        text.get(..a)?,
        text.get(a + 1..b)?,
        text.get(b + 1..c)?,
        text.get(c + 1..d)?,
        text.get(d + 1..e)?,
        text.get(e + 1..)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::ArnValue;
    use crate::policy::request::EmptyContext;
    use crate::policy::ternary::Match;

    #[test]
    fn wildcards_stay_inside_their_segment() {
        let arn = "arn:aws:iam::123456789012:role/a:b/c";
        for (pattern, expected) in [
            ("arn:aws:iam::123456789012:role/*", Match::Yes),
            ("arn:aws:iam::*:role/a*", Match::Yes),
            ("arn:aws:*::*:role/?:b/c", Match::Yes),
            ("arn:aws:iam*:role/*:a:b", Match::No),
            ("arn:aws:iam::12345678901?:role/a:b", Match::No),
            ("arn:*", Match::Maybe),
            ("urn:*", Match::No),
        ] {
            let value = ArnValue::parse(pattern, true).expect(pattern);
            assert_eq!(value.matches(arn, &EmptyContext), expected, "{pattern}");
        }
    }
}
