//! What a copy refuses, and what refuses a copy.
