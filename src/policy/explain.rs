//! Why each statement did or did not match.
