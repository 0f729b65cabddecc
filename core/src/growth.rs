//! How long lists grow, and shrink.

/// Makes room for one more entry, if there is none: for an eighth of what is there, or for `least` entries (at least
/// one). Lists of which a large cluster has many, or one with an entry for each pod, would waste more than they hold if
/// they doubled; adding to one takes a constant time on average all the same.
#[inline]
pub fn make_room<T>(list: &mut Vec<T>, least: usize) {
    if list.len() == list.capacity() {
        list.reserve_exact(least.max(1).max(list.len() / 8));
    }
}

/// Room for so many entries at most is kept by a list that a burst has filled and that is empty again.
pub const KEPT_MAX: usize = 1_024;

/// Gives an emptied list's memory back, unless it is little.
#[inline]
pub fn give_back<T>(list: &mut Vec<T>) {
    if list.capacity() > KEPT_MAX && list.is_empty() {
        *list = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MAX, give_back, make_room};

    #[test]
    fn an_emptied_list_gives_back_much_and_keeps_little() {
        for (length, is_kept) in [(KEPT_MAX / 2, true), (4 * KEPT_MAX, false)] {
            let mut list: Vec<usize> = (0..length).collect();
            give_back(&mut list);
            assert_eq!(list.len(), length, "a list that is not empty stays");
            list.clear();
            give_back(&mut list);
            assert_eq!(list.capacity() > 0, is_kept, "of {length}");
        }
    }

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
