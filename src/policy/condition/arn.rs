//! `ArnEquals`, `ArnLike` and their opposites: segment by segment between colons.

use crate::policy::condition::key::Key;
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::Pattern;
use crate::policy::request::Context;
use crate::policy::template::Syntax;
use crate::policy::ternary::Match;

/// One value of an ARN operator.
#[derive(Clone, Debug)]
pub(in crate::policy) enum ArnTest {
    /// Six segments, each matched on its own; the sixth takes the rest.
    Segments(Box<[Pattern; 6]>),
    /// Fewer than six segments in the policy's text: whole, if variables fill it up to an ARN.
    Whole(Pattern),
}

impl ArnTest {
    pub(in crate::policy) fn compile(value: &str, variables: bool) -> Result<ArnTest, Problem> {
        let syntax = Syntax {
            variables,
            wildcards: true,
        };
        let pattern = |text: &str| Pattern::parse(text, syntax);
        match segments(value, variables) {
            Some([a, b, c, d, e, f]) => Ok(ArnTest::Segments(Box::new([
                pattern(a)?,
                pattern(b)?,
                pattern(c)?,
                pattern(d)?,
                pattern(e)?,
                pattern(f)?,
            ]))),
            None => Ok(ArnTest::Whole(pattern(value)?)),
        }
    }

    pub(in crate::policy) fn matches(&self, text: &str, context: &dyn Context) -> Match {
        let mut parts = text.splitn(6, ':');
        let six = [(); 6].map(|()| parts.next());
        let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] = six else {
            // CONTESTED: a request value that is no ARN.
            return Match::Maybe;
        };
        match self {
            ArnTest::Segments(patterns) => patterns
                .iter()
                .zip([a, b, c, d, e, f])
                .map(|(pattern, part)| pattern.matches(part, context))
                .fold(Match::Yes, Match::and),
            // CONTESTED: a pattern that is no ARN but would match the text.
            ArnTest::Whole(pattern) => {
                let found = pattern.matches(text, context);
                let plain = pattern.has_variables() && !pattern.has_wildcards();
                if plain { found } else { found.at_most_maybe() }
            }
        }
    }

    /// Not an ARN by its own text, nor by variables?
    pub(in crate::policy) fn is_shapeless(&self) -> bool {
        matches!(self, ArnTest::Whole(pattern) if !pattern.has_variables())
    }

    pub(in crate::policy) fn patterns(&self) -> &[Pattern] {
        match self {
            ArnTest::Segments(patterns) => &**patterns,
            ArnTest::Whole(pattern) => std::slice::from_ref(pattern),
        }
    }

    pub(in crate::policy) fn variables(&self) -> Vec<Key<'_>> {
        self.patterns()
            .iter()
            .flat_map(Pattern::variables)
            .collect()
    }

    pub(in crate::policy) fn bare_variable(&self) -> Option<Key<'_>> {
        self.patterns().iter().find_map(Pattern::bare_variable)
    }
}

/// Splits at the first five colons that stand outside of variables.
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
    use super::ArnTest;
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
            let test = ArnTest::compile(pattern, true).expect(pattern);
            assert_eq!(test.matches(arn, &EmptyContext), expected, "{pattern}");
        }
    }
}
