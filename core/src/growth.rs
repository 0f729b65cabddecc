//! How long lists grow.

/// Makes room for one more entry, if there is none: for an eighth of what is there, or for `least` entries (at least
/// one). Lists of which a large cluster has many, or one with an entry for each pod, would waste more than they hold if
/// they doubled; adding to one takes a constant time on average all the same.
#[inline]
pub fn make_room<T>(list: &mut Vec<T>, least: usize) {
    if list.len() == list.capacity() {
        list.reserve_exact(least.max(1).max(list.len() / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::make_room;

    #[test]
    fn a_long_list_is_at_most_an_eighth_longer_than_it_must_be_and_moves_seldom() {
        let mut list = Vec::new();
        let mut moves = 0;
        for entry in 0..200_000 {
            let before = list.capacity();
            make_room(&mut list, 64);
            moves += usize::from(list.capacity() != before);
            list.push(entry);
            assert!(list.capacity() <= (list.len() * 9 / 8).max(list.len() + 64), "{} entries", list.len());
        }
        assert!(moves < 100, "moved {moves} times");
    }
}
