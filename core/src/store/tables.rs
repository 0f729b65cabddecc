//! One table for each kind, and the way from a type to its table.

use super::{Store, Table};
use crate::model::{self, Resource, for_every_kind};

/// What the store keeps in a table of its own.
pub trait Stored: Resource {
    /// The store's table of this kind.
    fn table(store: &Store) -> &Table<Self>;
    /// The store's table of this kind, to write to.
    fn table_mut(store: &mut Store) -> &mut Table<Self>;
}

macro_rules! tables {
    ($($kind:ident in $table:ident;)*) => {
        /// The store's tables, one for each kind.
        #[derive(Default)]
        pub(super) struct Tables { $($table: Table<model::$kind>),* }

        $(impl Stored for model::$kind {
            fn table(store: &Store) -> &Table<Self> { &store.tables.$table }
            fn table_mut(store: &mut Store) -> &mut Table<Self> { &mut store.tables.$table }
        })*
    };
}

for_every_kind!(tables);
