//! Rows in a form that no engine has for its own, and the checksum over them.
//!
//! Whatever an engine's type is, a value is nothing, a number or bytes: a UUID is its 16 bytes, text its UTF-8, a flag 0 or
//! 1. So one checksum stands for a table on both sides.

use std::fmt;

use sha2::{Digest, Sha256};

/// Rows in one batch at most: what one transaction writes.
const ROWS: usize = 5000;

/// Bytes in one batch, about, unless a single row has more.
const BYTES: usize = 4 * 1024 * 1024;

/// What one column of one row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Value {
    /// NULL.
    Nothing,
    /// A whole number, a time, a flag.
    Number(i64),
    /// Text, a UUID, a hash, any bytes.
    Bytes(Vec<u8>),
}

/// One row: its columns in the order of its table's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Row(pub(in crate::store) Vec<Value>);

impl Row {
    /// The row's hash: each value with its kind, and bytes with their length, so that no two rows look alike.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for value in &self.0 {
            match value {
                Value::Nothing => digest.update([0]),
                Value::Number(number) => {
                    digest.update([1]);
                    digest.update(number.to_be_bytes());
                }
                Value::Bytes(bytes) => {
                    digest.update([2]);
                    digest.update((bytes.len() as u64).to_be_bytes());
                    digest.update(bytes);
                }
            }
        }
        digest.finalize().into()
    }

    /// About what it takes of memory.
    fn size(&self) -> usize {
        let bytes = |value: &Value| if let Value::Bytes(bytes) = value { bytes.len() } else { 0 };
        self.0.iter().map(|value| size_of::<Value>() + bytes(value)).sum()
    }
}

/// Some rows of one table, in the order of its key.
#[derive(Debug, Default)]
pub(in crate::store) struct Batch {
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    /// Adds a row.
    pub(in crate::store) fn push(&mut self, row: Row) {
        self.bytes += row.size();
        self.rows.push(row);
    }

    /// Whether it should be written before more is added.
    pub(in crate::store) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.bytes >= BYTES
    }

    /// The rows.
    pub(in crate::store) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many.
    pub(in crate::store) fn count(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// What a table holds, in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many rows.
    pub rows: u64,
    /// Over all of them.
    pub checksum: Checksum,
}

impl Summary {
    /// Takes a row in. The order of rows does not matter.
    pub(in crate::store) fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.checksum.add(row);
    }
}

/// A checksum over rows in any order: the sum of the halves of their SHA-256, modulo 2^128. A sum, and not an exclusive or,
/// because a row that is there twice must not vanish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksum(u128);

impl Checksum {
    fn add(&mut self, row: &Row) {
        let half = row.digest().first_chunk().copied().expect("a SHA-256 is longer");
        self.0 = self.0.wrapping_add(u128::from_be_bytes(half));
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(rows: &[&[Value]]) -> Checksum {
        let mut summary = Summary::default();
        rows.iter().for_each(|row| summary.add(&Row(row.to_vec())));
        summary.checksum
    }

    fn text(text: &str) -> Value {
        Value::Bytes(text.into())
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_all_else_does() {
        let (a, b) = ([text("a"), Value::Number(1)], [text("b"), Value::Nothing]);
        let sum = checksum(&[&a, &b]);
        assert_eq!(sum, checksum(&[&b, &a]));
        assert_ne!(sum, checksum(&[&a, &b, &b]));
        assert_ne!(checksum(&[]), checksum(&[&a, &a]));
        assert_ne!(checksum(&[&[text("ab"), text("c")]]), checksum(&[&[text("a"), text("bc")]]));
        assert_ne!(checksum(&[&[Value::Nothing]]), checksum(&[&[text("")]]));
        assert_ne!(checksum(&[&[Value::Number(0)]]), checksum(&[&[Value::Bytes(vec![0; 8])]]));
        assert_eq!(sum.to_string().len(), 32);
    }

    #[test]
    fn a_batch_is_bounded_by_rows_and_by_bytes() {
        let fill = |size: usize| {
            let mut batch = Batch::default();
            while !batch.is_full() {
                batch.push(Row(vec![Value::Bytes(vec![0; size])]));
            }
            batch.count()
        };
        assert_eq!(fill(1), 5000);
        assert_eq!(fill(BYTES), 1);
    }
}
