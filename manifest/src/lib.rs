//! Reading YAML as kubectl does, with the place of every value.
//!
//! Three layers, each usable without the next:
//!
//! 1. [`yaml`]: text to a tree of [`yaml::Node`]s that know their line and column. Scalars have the YAML 1.1 meanings
//!    that kubectl gives them (`0644` is 420, `yes` is true), whatever the YAML 1.2 parser underneath would say.
//! 2. [`strict`]: a serde deserializer over such a tree. It refuses unknown fields and wrong types, names the place,
//!    what was expected and the nearest known name, and reports several mistakes of one document together.
//! 3. [`kubernetes`]: typed Kubernetes objects from manifests, with the API server's defaults and its validation;
//!    [`scheduler_configuration`]: kube-scheduler's configuration files.
//!
//! Invariant: no input makes these readers panic, and none makes them use unbounded memory or stack.
//! Absent on purpose: streams (callers give text and a name for it; [`text_file`] reads it from a disk), writing YAML,
//! and the conversion of Kubernetes objects to the core's own rows.

pub mod kubernetes;
pub mod scheduler_configuration;
pub mod strict;
pub mod text_file;
pub mod yaml;

pub use strict::{Error, Errors, Spanned, from_node, from_str, meant_quantity, nearest};
pub use yaml::{Duplicates, Node, Position, Span, Value};
