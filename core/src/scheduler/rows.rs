//! Tables by the pod row's index.

use crate::chunks::Chunks;

/// A table with an entry for some pods.
pub(super) type Rows<T> = Chunks<Option<T>>;

/// Makes sure that a table has a row.
pub(super) fn make_row<T>(rows: &mut Rows<T>, index: u32) {
    while rows.len() <= index as usize {
        rows.push(None);
    }
}

#[cfg(test)]
mod tests {
    use super::{Rows, make_row};

    #[test]
    fn a_row_is_made_with_those_before_it_and_once() {
        let mut rows: Rows<u64> = Rows::default();
        make_row(&mut rows, 1_000);
        assert_eq!(rows.len(), 1_001);
        rows[7] = Some(7);
        make_row(&mut rows, 7);
        assert_eq!((rows.len(), rows[7]), (1_001, Some(7)), "a row that is there is not made again");
        make_row(&mut rows, 1_001);
        assert_eq!(rows.len(), 1_002);
    }
}
