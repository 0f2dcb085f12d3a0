//! Which addresses may be reached, and the HTTP client that obeys.

/// Decides which destinations may be reached.
pub struct Guard {}
