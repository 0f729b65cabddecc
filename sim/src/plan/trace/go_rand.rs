//! The generator of Go's `math/rand`: an additive lagged Fibonacci sequence of 64-bit words,
//! y(n) = y(n − 607) + y(n − 273) modulo 2⁶⁴, seeded through a table.
//!
//! The table is the state of the same sequence after 7.8 · 10¹² steps from the seed 1. It is calculated here from that
//! definition: steps are linear, so as many of them are a power of x modulo x⁶⁰⁷ − x³³⁴ − 1.
//!
//! Source: src/math/rand/{rng.go, rand.go, gen_cooked.go} (Go 1.20).

use std::sync::LazyLock;

/// How many words the state has, which is the longer lag.
const LENGTH: usize = 607;
/// The word that is 273 steps old, counted from the oldest.
const TAP: usize = LENGTH - 273;
/// The modulus of the generator that seeds are stretched with.
const MODULUS: u64 = (1 << 31) - 1;
/// Its multiplier.
const MULTIPLIER: u64 = 48_271;
/// What stands for the seed 0.
const SEED_FOR_ZERO: u64 = 89_482_311;
/// How many of its values are passed over.
const PASSED_OVER: usize = 20;
/// After how many steps the table was taken.
const TABLE_STEPS: u64 = 7_800_000_000_000;

/// The table, in the order in which seeding fills it.
static TABLE: LazyLock<[u64; LENGTH]> = LazyLock::new(|| {
    let mut words = jumped(&oldest_first(stretched(1, [20, 10, 0])), TABLE_STEPS);
    // Go keeps the words in a ring that is written backwards.
    words.rotate_left(LENGTH - (TABLE_STEPS % LENGTH as u64) as usize);
    oldest_first(words)
});

/// A sequence that Go's `rand.New(rand.NewSource(seed))` gives as well.
pub struct GoRand {
    ring: [u64; LENGTH],
    oldest: usize,
}

impl GoRand {
    /// The sequence of a seed. Go's seeds are signed; those above its largest have no counterpart there.
    pub fn new(seed: u64) -> GoRand {
        let mut words = stretched(seed, [40, 20, 0]);
        for (word, table) in words.iter_mut().zip(TABLE.iter()) {
            *word ^= table;
        }
        GoRand { ring: oldest_first(words), oldest: 0 }
    }

    /// The next value in 0 .. 2⁶³ (`Int63`).
    pub fn int63(&mut self) -> u64 {
        let word = self.ring[self.oldest].wrapping_add(self.ring[(self.oldest + TAP) % LENGTH]);
        self.ring[self.oldest] = word;
        self.oldest = (self.oldest + 1) % LENGTH;
        word & (u64::MAX >> 1)
    }

    /// A value in 0 .. limit (`Intn`). Panics if the limit is zero or 2³¹ or more.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limited(limit);
        let whole = (1 << 31) / limit * limit;
        loop {
            let value = self.int63() >> 32;
            if value < whole {
                return (value % limit) as usize;
            }
        }
    }

    /// Brings items into a drawn order (`Shuffle`). Panics if there are 2³¹ or more.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            let other = self.below_by_product(limited(place + 1));
            items.swap(place, other);
        }
    }

    /// The numbers 0 .. count in a drawn order (`Perm`).
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut numbers = vec![0; count];
        for next in 0..count {
            let place = self.below(next + 1);
            numbers[next] = numbers[place];
            numbers[place] = next;
        }
        numbers
    }

    /// A value below a limit by multiplication instead of division, as shuffling draws them.
    fn below_by_product(&mut self, limit: u64) -> usize {
        let too_few = (1 << 32) % limit;
        loop {
            let product = (self.int63() >> 31) * limit;
            if product & u64::from(u32::MAX) >= too_few {
                return (product >> 32) as usize;
            }
        }
    }
}

fn limited(limit: usize) -> u64 {
    assert!((1..1 << 31).contains(&limit), "a limit of {limit} is not drawn below");
    limit as u64
}

/// A seed as so many words: each of three values of a linear congruential generator, shifted and mixed.
fn stretched(seed: u64, shifts: [u32; 3]) -> [u64; LENGTH] {
    let mut value = match seed % MODULUS {
        0 => SEED_FOR_ZERO,
        seed => seed,
    };
    let mut next = || {
        value = value * MULTIPLIER % MODULUS;
        value
    };
    for _ in 0..PASSED_OVER {
        next();
    }
    std::array::from_fn(|_| shifts.into_iter().fold(0, |word, shift| word ^ (next() << shift)))
}

/// From the order in which Go's ring has its words to that in which they are used up, and back.
fn oldest_first(mut words: [u64; LENGTH]) -> [u64; LENGTH] {
    words.reverse();
    words.rotate_left(LENGTH - TAP);
    words
}

/// The state so many steps later; both begin with the oldest word.
fn jumped(state: &[u64; LENGTH], steps: u64) -> [u64; LENGTH] {
    let mut sequence = state.to_vec();
    for place in 0..LENGTH {
        sequence.push(sequence[place].wrapping_add(sequence[place + TAP]));
    }
    let power = power_of_x(steps);
    let word = |from: usize| {
        let terms = power.iter().zip(&sequence[from..]);
        terms.fold(0_u64, |sum, (factor, word)| sum.wrapping_add(factor.wrapping_mul(*word)))
    };
    std::array::from_fn(word)
}

/// x to a power, modulo x⁶⁰⁷ − x³³⁴ − 1: the factors of 1, x, x², … modulo 2⁶⁴.
fn power_of_x(exponent: u64) -> Vec<u64> {
    let mut power = vec![0_u64; LENGTH];
    power[0] = 1;
    for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
        let shift = (exponent >> bit & 1) as usize;
        let mut product = vec![0_u64; 2 * LENGTH];
        for (left, a) in power.iter().enumerate() {
            for (right, b) in power.iter().enumerate() {
                let sum = &mut product[left + right + shift];
                *sum = sum.wrapping_add(a.wrapping_mul(*b));
            }
        }
        for high in (LENGTH..2 * LENGTH).rev() {
            let factor = product[high];
            for low in [high - LENGTH, high - LENGTH + TAP] {
                product[low] = product[low].wrapping_add(factor);
            }
        }
        product.truncate(LENGTH);
        power = product;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_go() {
        let mut go = GoRand::new(1);
        let values: Vec<usize> = (0..10).map(|_| go.below(100)).collect();
        assert_eq!(values, [81, 87, 47, 59, 81, 18, 25, 40, 56, 0], "as in the tour of Go");
        assert_eq!(GoRand::new(1).int63(), 5_577_006_791_947_779_410);
        assert_eq!(GoRand::new(MODULUS + 7).int63(), GoRand::new(7).int63());
    }

    #[test]
    fn a_jump_is_as_many_steps() {
        let mut go = GoRand::new(3);
        let before = go.ring;
        for _ in 0..2 * LENGTH {
            go.int63();
        }
        assert_eq!(jumped(&before, 2 * LENGTH as u64), go.ring);
    }

    #[test]
    fn orders_have_everything_once() {
        let mut go = GoRand::new(42);
        let (mut shuffled, mut permuted) = ((0..1_000).collect::<Vec<_>>(), go.permutation(1_000));
        go.shuffle(&mut shuffled);
        assert_ne!(shuffled, permuted);
        shuffled.sort_unstable();
        permuted.sort_unstable();
        assert_eq!((&shuffled, &permuted), (&(0..1_000).collect(), &(0..1_000).collect()));
    }
}
