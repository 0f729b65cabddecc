//! Tables by the pod row's index.

use crate::growth::make_room;

/// As many rows at least are added at once.
const ROWS_MIN: usize = 64;

/// Makes sure that a table has a row.
pub(super) fn make_row<T>(rows: &mut Vec<Option<T>>, index: u32) {
    while rows.len() <= index as usize {
        make_room(rows, ROWS_MIN.max(index as usize + 1 - rows.len()));
        rows.push(None);
    }
}

#[cfg(test)]
mod tests {
    use super::make_row;

    #[test]
    fn a_row_is_made_with_those_before_it_and_once() {
        let mut rows: Vec<Option<u64>> = Vec::new();
        make_row(&mut rows, 1_000);
        assert_eq!((rows.len(), rows.capacity()), (1_001, 1_001), "as many as are needed, at once");
        rows[7] = Some(7);
        make_row(&mut rows, 7);
        assert_eq!((rows.len(), rows[7]), (1_001, Some(7)), "a row that is there is not made again");
        make_row(&mut rows, 1_001);
        assert_eq!(rows.len(), 1_002);
    }
}
