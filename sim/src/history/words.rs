//! Text that is kept once however often it is told.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::hash::BuildHasherDefault;

use wavetank_core::author::Author;
use wavetank_core::digest::StableHasher;
use wavetank_core::model::Kind;
use wavetank_reports::record::Text;

use super::push_kind;

/// Every text of a run's rows, each once: a few thousand subjects and sentences stand in hundreds of thousands of rows.
/// Nothing goes through the set in its order.
#[derive(Default)]
pub(super) struct Words {
    known: HashSet<Text, BuildHasherDefault<StableHasher>>,
    /// Where a text is written before it is looked up; kept for its memory.
    draft: String,
    /// The kinds' words, by their numbers.
    kinds: Vec<Option<Text>>,
    /// The words of who has asked for a write so far.
    authors: Vec<(Author, Text)>,
}

impl Words {
    /// A kind as subjects begin with it: `replicaset`.
    pub(super) fn kind(&mut self, kind: Kind) -> Text {
        self.kinds.resize(Kind::SLOTS, None);
        let known = &mut self.kinds[kind as usize];
        let word = || {
            let mut word = String::new();
            push_kind(kind, &mut word);
            word.into()
        };
        known.get_or_insert_with(word).clone()
    }

    /// Whoever asked for a write.
    pub(super) fn author(&mut self, author: Author) -> Text {
        if let Some((_, text)) = self.authors.iter().find(|(known, _)| *known == author) {
            return text.clone();
        }
        let text = self.shown(&author);
        self.authors.push((author, text.clone()));
        text
    }

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
