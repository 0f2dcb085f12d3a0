//! Random numbers that are the same every time.

use std::sync::atomic::{AtomicU64, Ordering};

use leadgate::model::Entropy;
use sha2::{Digest, Sha256};

/// Hashes of 1, 2, 3 …
#[derive(Default)]
pub struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            piece.copy_from_slice(&Sha256::digest(number.to_le_bytes())[..piece.len()]);
        }
    }
}
