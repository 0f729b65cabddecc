//! Conditions in brief: those of a pod that its kubelet keeps lie in the list itself.

use std::ops::{Deref, DerefMut};

use crate::model::{ConditionKind, Status3};
use crate::time::Time;

/// A condition without words that was last written at its change; ten bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed)]
pub(super) struct Brief {
    pub(super) kind: ConditionKind,
    pub(super) status: Status3,
    pub(super) changed_at: Time,
}

/// So many conditions lie in the list itself.
const FEW: usize = 5;

/// A list of brief conditions.
#[derive(Clone)]
pub(super) enum Briefs {
    Few(u8, [Brief; FEW]),
    Many(Box<[Brief]>),
}

impl Briefs {
    pub(super) fn push(&mut self, brief: Brief) {
        self.insert(self.len(), brief);
    }

    pub(super) fn insert(&mut self, place: usize, brief: Brief) {
        match self {
            Briefs::Few(count, few) if usize::from(*count) < FEW => {
                few.copy_within(place..usize::from(*count), place + 1);
                few[place] = brief;
                *count += 1;
            }
            Briefs::Few(_, few) => {
                let mut many = few.to_vec();
                many.insert(place, brief);
                *self = Briefs::Many(many.into());
            }
            Briefs::Many(many) => {
                let mut more = std::mem::take(many).into_vec();
                more.insert(place, brief);
                *many = more.into();
            }
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        match self {
            Briefs::Few(count, few) => {
                few.copy_within(place + 1..usize::from(*count), place);
                *count -= 1;
            }
            Briefs::Many(many) => {
                let mut fewer = std::mem::take(many).into_vec();
                fewer.remove(place);
                *many = fewer.into();
            }
        }
    }
}

impl Default for Briefs {
    fn default() -> Briefs {
        let unused = Brief { kind: ConditionKind::Ready, status: Status3::Unknown, changed_at: Time::ZERO };
        Briefs::Few(0, [unused; FEW])
    }
}

impl Deref for Briefs {
    type Target = [Brief];

    #[inline]
    fn deref(&self) -> &[Brief] {
        match self {
            Briefs::Few(count, few) => &few[..usize::from(*count)],
            Briefs::Many(many) => many,
        }
    }
}

impl DerefMut for Briefs {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Brief] {
        match self {
            Briefs::Few(count, few) => &mut few[..usize::from(*count)],
            Briefs::Many(many) => many,
        }
    }
}

impl PartialEq for Briefs {
    fn eq(&self, other: &Briefs) -> bool {
        **self == **other
    }
}

impl Eq for Briefs {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, Purpose, below};

    #[test]
    fn few_and_many_are_the_list_that_they_are_changed_like() {
        let mut draws = Draws::starting_at(11, Purpose::NameSuffix, 0, 0);
        let mut next = |bound: usize| below(draws.next().expect("draws do not end"), bound as u64) as usize;
        let (mut briefs, mut list) = (Briefs::default(), Vec::new());
        let mut longest = 0;
        for round in 0..2_000 {
            if next(20) == 0 {
                (briefs, list) = (Briefs::default(), Vec::new());
            } else if next(5) > 1 || list.is_empty() {
                let place = next(list.len() + 1);
                let changed_at = Time(round);
                let brief = Brief { kind: ConditionKind::Ready, status: Status3::True, changed_at };
                briefs.insert(place, brief);
                list.insert(place, brief);
            } else {
                let place = next(list.len());
                briefs.remove(place);
                list.remove(place);
            }
            let times = |all: &[Brief]| all.iter().map(|brief| brief.changed_at).collect::<Vec<_>>();
            assert_eq!(times(&briefs), times(&list), "after {round} changes");
            assert!(briefs == briefs.clone());
            longest = longest.max(list.len());
        }
        assert!(longest > FEW, "also lists with memory of their own: {longest}");
        assert!(size_of::<Briefs>() <= 56, "five of ten bytes, and little more");
    }
}
