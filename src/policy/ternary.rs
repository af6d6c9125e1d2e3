//! Three-valued truth: what is matched for sure, not at all, or cannot be told.

/// The answer of one test of a policy against one request.
///
/// `Maybe` arises only from something that cannot be known here, or from a point on which AWS's
/// documentation contradicts itself. A Deny that is `Maybe` denies; an Allow that is `Maybe` does
/// not allow: either way the reading that denies more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// It does not match, whatever the unknowns are.
    No,
    /// It matches for some values of the unknowns and not for others.
    Maybe,
    /// It matches, whatever the unknowns are.
    Yes,
}

impl Match {
    /// Both.
    #[must_use]
    pub fn and(self, other: Match) -> Match {
        self.min(other)
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Match) -> Match {
        self.max(other)
    }

    /// The opposite.
    #[must_use]
    pub fn negate(self) -> Match {
        match self {
            Match::No => Match::Yes,
            Match::Maybe => Match::Maybe,
            Match::Yes => Match::No,
        }
    }

    /// The opposite where `negated`, else unchanged.
    #[must_use]
    pub fn negate_if(self, negated: bool) -> Match {
        if negated { self.negate() } else { self }
    }

    /// `Maybe` where this is `Yes`: for a pattern on whose meaning the documentation disagrees.
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
