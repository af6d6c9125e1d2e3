//! What a request says.
