//! Numbers of a range that are given away, and the search for one that is not.

use std::collections::BTreeSet;

use crate::draw::below;

/// The numbers that are given away.
#[derive(Clone, Default)]
pub(super) struct Range {
    given: BTreeSet<u32>,
}

impl Range {
    pub(super) fn has(&self, number: u32) -> bool {
        self.given.contains(&number)
    }

    pub(super) fn take(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.given.extend(numbers);
    }

    pub(super) fn give_back(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.given.remove(&number);
        }
    }
}

/// Seeks a free number from `first` to `last`: from a drawn place on in the upper band, and only if that is full in the
/// lower one, which has `lower` numbers. `draw(0)` and `draw(1)` say where each search begins.
///
/// Source: `allocateNextService`, pkg/registry/core/service/ipallocator/ipallocator.go; `randomScanStrategyWithOffset`,
/// pkg/registry/core/service/allocator/bitmap.go (v1.34.1).
pub(super) fn choose(
    first: u32,
    last: u32,
    lower: u32,
    draw: impl Fn(u64) -> u64,
    is_free: impl Fn(u32) -> bool,
) -> Option<u32> {
    let bands = [(first + lower, last + 1), (first, first + lower)];
    for (k, (from, to)) in (0..).zip(bands) {
        let Some(size) = to.checked_sub(from).filter(|size| *size > 0) else { continue };
        let start = below(draw(k), u64::from(size)) as u32;
        let found = (0..size).map(|step| from + (start + step) % size).find(|number| is_free(*number));
        if found.is_some() {
            return found;
        }
    }
    None
}
