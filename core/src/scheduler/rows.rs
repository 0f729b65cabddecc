//! Tables by the pod row's index.

/// Makes sure that a table has a row. It grows by an eighth at once: these tables have a row for every pod of the
/// cluster, so that one twice as long as it must be would waste more than they take.
pub(super) fn make_row<T>(rows: &mut Vec<Option<T>>, index: u32) {
    let count = index as usize + 1;
    if rows.len() < count {
        if rows.capacity() < count {
            rows.reserve_exact((count - rows.len()).max(rows.len() / 8).max(ROWS_MIN));
        }
        rows.resize_with(count, || None);
    }
}

/// As many rows at least are added at once.
const ROWS_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::make_row;

    #[test]
    fn a_table_of_many_rows_is_at_most_an_eighth_longer_than_it_must_be() {
        let mut rows: Vec<Option<u64>> = Vec::new();
        let mut moves = 0;
        for index in 0..200_000 {
            let before = rows.capacity();
            make_row(&mut rows, index);
            moves += usize::from(rows.capacity() != before);
            assert_eq!(rows.len(), index as usize + 1);
        }
        assert!(rows.capacity() <= 200_000 * 9 / 8 && moves < 100, "{} rows, moved {moves} times", rows.capacity());
        make_row(&mut rows, 7);
        assert_eq!(rows.len(), 200_000, "a row that is there is not made again");
    }
}
