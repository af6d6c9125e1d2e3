//! Ternary logic (Kleene's): a request matches for certain, not at all, or perhaps.

/// The result of one test of a policy against one request.
///
/// `Maybe` comes only from a fact that the gate cannot know, or from a point on which AWS's
/// documentation contradicts itself. A Deny that is `Maybe` denies. An Allow that is `Maybe` does
/// not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// No match, whatever the unknown facts are.
    No,
    /// A match for some values of the unknown facts, and none for others.
    Maybe,
    /// A match, whatever the unknown facts are.
    Yes,
}

impl Match {
    /// Conjunction: the lesser of both.
    #[must_use]
    pub fn and(self, other: Match) -> Match {
        self.min(other)
    }

    /// Disjunction: the greater of both.
    #[must_use]
    pub fn or(self, other: Match) -> Match {
        self.max(other)
    }

    /// Negation. `Maybe` stays.
    #[must_use]
    pub fn negate(self) -> Match {
        match self {
            Match::No => Match::Yes,
            Match::Maybe => Match::Maybe,
            Match::Yes => Match::No,
        }
    }

    /// Negation if `negated`.
    #[must_use]
    pub fn negate_if(self, negated: bool) -> Match {
        if negated { self.negate() } else { self }
    }

    /// `Maybe` instead of `Yes`, for a pattern with a contested meaning.
    #[must_use]
    pub fn at_most_maybe(self) -> Match {
        self.min(Match::Maybe)
    }
}

impl From<bool> for Match {
    fn from(value: bool) -> Match {
        if value { Match::Yes } else { Match::No }
    }
}
