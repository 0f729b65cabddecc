//! Stable hashes: the run's trace fingerprint and the store's state digest.
//!
//! [`StableHasher`] gives the same value on every machine, in every build and release, for anything that derives
//! `Hash`. The *fingerprint* is a rolling hash over (time, input) of every step: two runs with one fingerprint took the
//! same path. The *digest* is an order-free sum over the hashes of all rows, kept up to date by each write.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::Arc;

use crate::time::Time;

/// Odd constants with well-mixed bits (the fractional digits of the golden ratio and of the square root of two).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const INCREMENT: u64 = 0x6a09_e667_f3bc_c909;

/// A hasher whose value is part of the file formats: folded 64 × 64 → 128-bit multiplication over 8-byte words.
///
/// Not for untrusted keys: it defends against nothing.
#[derive(Clone, Copy, Debug)]
pub struct StableHasher {
    state: u64,
}

impl StableHasher {
    /// An empty hash.
    pub const fn new() -> StableHasher {
        StableHasher { state: INCREMENT }
    }

    /// The hash of one value.
    pub fn hash_one(value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = StableHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[inline]
    fn absorb(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        self.state = ((product >> 64) as u64 ^ product as u64).wrapping_add(INCREMENT).rotate_left(23);
    }
}

impl Default for StableHasher {
    fn default() -> Self {
        StableHasher::new()
    }
}

impl Hasher for StableHasher {
    #[inline]
    fn finish(&self) -> u64 {
        let mut last = *self;
        last.absorb(MULTIPLIER);
        last.absorb(INCREMENT);
        last.state
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, after)) = rest.split_first_chunk() {
            self.absorb(u64::from_le_bytes(*word));
            rest = after;
        }
        self.absorb(word_of(rest));
        self.absorb(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.absorb(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.absorb(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.absorb(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.absorb(value);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.absorb(value as u64);
        self.absorb((value >> 64) as u64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.absorb(value as u64);
    }

    #[inline]
    fn write_i8(&mut self, value: i8) {
        self.absorb(value as u64);
    }

    #[inline]
    fn write_i16(&mut self, value: i16) {
        self.absorb(value as u64);
    }

    #[inline]
    fn write_i32(&mut self, value: i32) {
        self.absorb(value as u64);
    }

    #[inline]
    fn write_i64(&mut self, value: i64) {
        self.absorb(value as u64);
    }

    #[inline]
    fn write_i128(&mut self, value: i128) {
        self.write_u128(value as u128);
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.absorb(value as u64);
    }
}

/// Fewer than eight bytes as the low ones of a word. Read piece by piece: a copy whose length is not known is a call.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    let (mut word, mut shift, mut rest) = (0, 0, bytes);
    if let Some((four, after)) = rest.split_first_chunk() {
        (word, shift, rest) = (u64::from(u32::from_le_bytes(*four)), 32, after);
    }
    if let Some((two, after)) = rest.split_first_chunk() {
        word |= u64::from(u16::from_le_bytes(*two)) << shift;
        (shift, rest) = (shift + 16, after);
    }
    if let [one, ..] = rest {
        word |= u64::from(*one) << shift;
    }
    word
}

/// The rolling hash over every step of a run. Printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Takes one step's time and input into the rolling hash.
    pub fn absorb(&mut self, now: Time, input: &impl Hash) {
        let mut hasher = StableHasher { state: self.0 };
        hasher.absorb(now.0);
        input.hash(&mut hasher);
        self.0 = hasher.state;
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The order-free sum of the hashes of all rows: equal stores have equal digests, however they came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u64);

impl Digest {
    /// Adds a row's hash.
    pub fn add(&mut self, row_hash: u64) {
        self.0 = self.0.wrapping_add(row_hash);
    }

    /// Takes a row's hash out again.
    pub fn remove(&mut self, row_hash: u64) {
        self.0 = self.0.wrapping_sub(row_hash);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A value shared by many rows and messages (a pod template's spec, a pod's status), hashed at most once.
///
/// Writing through it copies the value first if somebody else has it too, so sharing is never seen: it is a value that
/// is cheap to clone, to hash and to compare with itself.
pub struct Shared<T> {
    /// Counted without weak references, for which nobody has use: eight bytes in each of hundreds of thousands.
    inner: Arc<Hashed<T>>,
}

struct Hashed<T> {
    /// The value's stable hash; 0 until somebody asks. Whoever computes it gets the same, so threads need no order.
    hash: AtomicU64,
    value: T,
}

impl<T> Shared<T> {
    /// Shares a value.
    pub fn new(value: T) -> Shared<T> {
        Shared { inner: Arc::new(Hashed { hash: AtomicU64::new(0), value }) }
    }

    /// Whether both are the very same allocation.
    pub fn same(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl<T: Hash> Shared<T> {
    /// The value's stable hash.
    pub fn stable_hash(&self) -> u64 {
        match self.inner.hash.load(Ordering::Relaxed) {
            0 => {
                let hash = StableHasher::hash_one(&self.inner.value);
                self.inner.hash.store(hash, Ordering::Relaxed);
                hash
            }
            known => known,
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared { inner: Arc::clone(&self.inner) }
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner.value
    }
}

impl<T: Clone> std::ops::DerefMut for Shared<T> {
    /// The value to change, which is a copy if somebody else has it too.
    fn deref_mut(&mut self) -> &mut T {
        let hashed = Arc::make_mut(&mut self.inner);
        *hashed.hash.get_mut() = 0;
        &mut hashed.value
    }
}

impl<T: Clone> Clone for Hashed<T> {
    fn clone(&self) -> Self {
        Hashed { hash: AtomicU64::new(0), value: self.value.clone() }
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Shared<T> {
        Shared::new(value)
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.stable_hash());
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        let known = |it: &Self| Some(it.inner.hash.load(Ordering::Relaxed)).filter(|hash| *hash != 0);
        let may_be_equal = || known(self).zip(known(other)).is_none_or(|(one, other)| one == other);
        self.same(other) || (may_be_equal() && self.inner.value == other.inner.value)
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.value.fmt(f)
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Shared::new(T::default())
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Shared::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_value_is_pinned() {
        assert_eq!(
            StableHasher::hash_one(&("web", 3u32, Some(7i64))),
            StableHasher::hash_one(&("web", 3u32, Some(7i64)))
        );
        assert_ne!(StableHasher::hash_one("ab"), StableHasher::hash_one("ba"));
        assert_ne!(StableHasher::hash_one(&("a", "bc")), StableHasher::hash_one(&("ab", "c")));
    }

    #[test]
    fn the_last_bytes_are_read_as_if_zeros_followed() {
        for count in 0..8 {
            let bytes: Vec<u8> = (0..count).map(|byte| 0xf1 + byte).collect();
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(&bytes);
            assert_eq!(word_of(&bytes), u64::from_le_bytes(padded), "{count} bytes");
        }
    }

    #[test]
    fn a_shared_value_that_is_changed_leaves_the_others_as_they_were_and_is_hashed_anew() {
        let one = Shared::new(vec![1u32]);
        let before = one.stable_hash();
        let mut other = one.clone();
        assert!(one.same(&other) && one == other);
        other.push(2);
        assert_eq!((&*one, &*other), (&vec![1], &vec![1, 2]));
        assert_eq!(one.stable_hash(), before);
        assert_eq!(other.stable_hash(), StableHasher::hash_one(&vec![1u32, 2]));
        other.pop();
        assert_eq!((one == other, other.stable_hash()), (true, before), "equal, though each is its own");
    }

    #[test]
    fn a_digest_forgets_the_order_of_its_rows() {
        let (mut forwards, mut backwards) = (Digest::default(), Digest::default());
        for row in 0..100u64 {
            forwards.add(StableHasher::hash_one(&row));
            backwards.add(StableHasher::hash_one(&(99 - row)));
        }
        assert_eq!(forwards, backwards);
        forwards.remove(StableHasher::hash_one(&5u64));
        assert_ne!(forwards, backwards);
    }

    #[test]
    fn a_fingerprint_depends_on_order() {
        let mut one = Fingerprint::default();
        one.absorb(Time(1), &"a");
        one.absorb(Time(1), &"b");
        let mut other = Fingerprint::default();
        other.absorb(Time(1), &"b");
        other.absorb(Time(1), &"a");
        assert_ne!(one, other);
    }
}
