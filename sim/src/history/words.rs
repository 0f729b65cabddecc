//! Text that is kept once however often it is told.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::hash::BuildHasherDefault;

use wavetank_core::digest::StableHasher;
use wavetank_reports::record::Text;

/// Every text of a run's rows, each once: a few thousand subjects and sentences stand in hundreds of thousands of rows.
/// Nothing goes through the set in its order.
#[derive(Default)]
pub(super) struct Words {
    known: HashSet<Text, BuildHasherDefault<StableHasher>>,
    /// Where a text is written before it is looked up; kept for its memory.
    draft: String,
}

impl Words {
    /// The text as it is known, or known from now on.
    pub(super) fn of(&mut self, text: &str) -> Text {
        match self.known.get(text) {
            Some(known) => known.clone(),
            None => self.learn(text.into()),
        }
    }

    /// The same of what a value is written as.
    pub(super) fn shown(&mut self, value: &impl fmt::Display) -> Text {
        self.written(|draft| write!(draft, "{value}").expect("a string takes everything"))
    }

    /// The same of what is written to a string.
    pub(super) fn written(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        write(&mut draft);
        let text = self.of(&draft);
        self.draft = draft;
        text
    }

    fn learn(&mut self, text: Text) -> Text {
        self.known.insert(text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_however_it_is_told() {
        let mut words = Words::default();
        let told = words.of("bound to node-1");
        let shown = words.shown(&format_args!("bound to {}-{}", "node", 1));
        assert!(Text::ptr_eq(&told, &shown));
        assert_eq!(words.of("bound to node-2"), "bound to node-2");
        assert_eq!(words.known.len(), 2);
    }
}
