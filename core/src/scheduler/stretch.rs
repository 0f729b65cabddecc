//! Nodes that follow each other in the order, which goes on at its first node after its last.

use std::ops::Range;

/// So many positions from one on, at most all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    start: usize,
    count: usize,
    nodes: usize,
}

impl Stretch {
    /// `count` positions from `start` on, of so many nodes. Panics if there are fewer, or if none is at `start`.
    pub(super) fn new(start: usize, count: usize, nodes: usize) -> Stretch {
        assert!(start < nodes && count <= nodes, "{count} from {start} on are not among {nodes} nodes");
        Stretch { start, count, nodes }
    }

    /// How many nodes it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The positions before the order's end, and those after it.
    pub(super) fn ranges(&self) -> [Range<usize>; 2] {
        let end = self.start + self.count;
        [self.start..end.min(self.nodes), 0..end.saturating_sub(self.nodes)]
    }

    /// What a table by position says of its nodes, in their order.
    pub(super) fn of<T: Copy>(&self, table: &[T]) -> Vec<T> {
        self.ranges().map(|range| &table[range]).concat()
    }

    /// The position of the node at a place, counted from 0.
    pub(super) fn position(&self, place: usize) -> usize {
        let position = self.start + place;
        if position < self.nodes { position } else { position - self.nodes }
    }

    /// The place of the node at a position, if it is among them.
    pub(super) fn place(&self, position: u32) -> Option<usize> {
        let position = position as usize;
        let place = if position >= self.start { position - self.start } else { position + self.nodes - self.start };
        Some(place).filter(|place| *place < self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_goes_on_at_the_first_node_after_the_last() {
        let nodes = [10, 11, 12, 13, 14];
        for start in 0..5 {
            for count in 0..=5 {
                let stretch = Stretch::new(start, count, 5);
                let positions: Vec<usize> = (0..count).map(|step| (start + step) % 5).collect();
                assert_eq!((0..count).map(|place| stretch.position(place)).collect::<Vec<_>>(), positions);
                assert_eq!(stretch.of(&nodes), positions.iter().map(|position| nodes[*position]).collect::<Vec<_>>());
                let place = |position: u32| positions.iter().position(|it| *it == position as usize);
                assert!((0..5).all(|position| stretch.place(position) == place(position)), "{stretch:?}");
            }
        }
    }
}
