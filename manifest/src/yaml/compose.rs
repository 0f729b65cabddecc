//! Parser events to trees: nesting, anchors, merge keys, duplicate keys.
//!
//! The stack of open collections is explicit, so the depth of a text costs heap and not program stack.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Tag};

use super::resolve::{self, ScalarTag};
use super::{Duplicates, Key, Node, Position, Span, SyntaxError, Value};

/// The greatest depth of collections inside one another, aliases replaced.
pub const DEPTH_MAX: u32 = 128;

/// The greatest number of nodes in one text, aliases replaced. A manifest of 1,000 Deployments has about 50,000.
pub const NODES_MAX: u64 = 5_000_000;

/// What `!!` stands for.
const CORE_TAGS: &str = "tag:yaml.org,2002:";

/// How many nodes all aliases and merges of one text may add together: a bound on "a billion laughs".
const ALIASED_NODES_MAX: u64 = 200_000;

/// Reads all documents of a YAML text; JSON is YAML too. Documents without content (`---` alone, comments) give no
/// node.
pub fn parse(text: &str, duplicates: Duplicates) -> Result<Vec<Node>, SyntaxError> {
    let mut composer = Composer::new(duplicates);
    // A byte order mark is not content, and would move the columns of the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options: Options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX as usize,
        block_nesting_limit: DEPTH_MAX as usize,
    };
    options.set_emit_comments(false);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(scan_error)?;
        composer.event(event, &span)?;
    }
    assert!(composer.open.is_empty(), "the parser ended a stream with {} open collections", composer.open.len());
    Ok(composer.documents)
}

/// A node that an anchor names, with its size, so that an alias is paid for before it is copied.
struct Anchored {
    node: Node,
    size: u64,
    depth: u32,
}

/// A collection whose end has not been read.
struct Open {
    span: Span,
    anchor: usize,
    /// Nodes inside so far, itself included.
    size: u64,
    /// Depth of the deepest collection inside, itself included.
    depth: u32,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { entries: Entries, key: Option<PendingKey> },
}

/// A mapping's entries in the order of first appearance, and where each key is among them.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    index_of: BTreeMap<String, usize>,
}

/// A mapping's entry, and whether only a merge gave it: what is written beside a merge is no duplicate of it.
struct Entry {
    key: Key,
    node: Node,
    merged: bool,
}

enum PendingKey {
    Plain(Key),
    Merge(Position),
}

struct Composer {
    duplicates: Duplicates,
    documents: Vec<Node>,
    open: Vec<Open>,
    /// By the parser's number for the anchor; a repeated name has a new number.
    anchors: BTreeMap<usize, Anchored>,
    nodes: u64,
    aliased: u64,
}

impl Composer {
    fn new(duplicates: Duplicates) -> Composer {
        Composer { duplicates, documents: Vec::new(), open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, aliased: 0 }
    }

    fn event(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                self.scalar(&text, style, anchor, tag, span_of(span))?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(span_of(span), anchor, Content::Seq(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                self.open(span_of(span), anchor, Content::Map { entries: Entries::default(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span_of(span))?,
            Event::Alias(id) => self.alias(id, span_of(span))?,
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            other => return fail(span_of(span).start(), format!("unexpected parser event {other:?}")),
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mut span: Span,
    ) -> Result<(), SyntaxError> {
        let plain = style == ScalarStyle::Plain;
        let is_merge = text == "<<" && tag.map_or(plain, is_merge_tag);
        if is_merge && self.expects_key() {
            self.set_key(PendingKey::Merge(span.start()));
            return Ok(());
        }
        // The parser writes `~` for a value that is not there; only its empty span tells it from a real one.
        let absent = plain && span.start() == span.end;
        let text = if absent { "" } else { text };
        let value = resolve::scalar(text, scalar_tag(tag), plain)
            .map_err(|message| SyntaxError { position: span.start(), message })?;
        // A document of nothing but comments has one empty scalar: it is no document for kubectl.
        if absent && self.open.is_empty() && tag.is_none() {
            return Ok(());
        }
        // The parser places a value that is not there at the next token, often lines below: show the key's end.
        if absent
            && let Some(Open { content: Content::Map { key: Some(PendingKey::Plain(key)), .. }, .. }) = self.open.last()
        {
            span = Span { line: key.span.end.line, column: key.span.end.column, end: key.span.end };
        }
        let node = Node { value, span };
        self.remember(anchor, &node, 1, 0);
        self.insert(node, 1, 0)
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), SyntaxError> {
        if self.open.len() as u64 >= u64::from(DEPTH_MAX) {
            return fail(span.start(), format!("collections are nested more than {DEPTH_MAX} deep"));
        }
        if self.expects_key() {
            return fail(span.start(), "a mapping's key must be a string, found a collection");
        }
        self.open.push(Open { span, anchor, size: 1, depth: 1, content });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else { return fail(end.start(), "a collection ends that never began") };
        let value = match open.content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { entries, .. } => {
                Value::Map(entries.list.into_iter().map(|entry| (entry.key, entry.node)).collect())
            }
        };
        let node = Node { value, span: Span { end: end.end, ..open.span } };
        self.remember(open.anchor, &node, open.size, open.depth);
        self.insert(node, open.size, open.depth)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), SyntaxError> {
        let Some(found) = self.anchors.get(&id) else {
            return fail(span.start(), "the anchor's value contains itself");
        };
        let (size, depth) = (found.size, found.depth);
        self.aliased = self.aliased.saturating_add(size);
        if self.aliased > ALIASED_NODES_MAX {
            return fail(span.start(), format!("aliases expand to more than {ALIASED_NODES_MAX} values"));
        }
        if self.open.len() as u64 + u64::from(depth) > u64::from(DEPTH_MAX) {
            return fail(span.start(), format!("aliases nest collections more than {DEPTH_MAX} deep"));
        }
        let node = Node { value: found.node.value.clone(), span };
        self.insert(node, size, depth)
    }

    /// Puts a complete node where the innermost open collection wants it.
    fn insert(&mut self, node: Node, size: u64, depth: u32) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(if depth == 0 { size } else { 1 });
        if self.nodes.saturating_add(self.aliased) > NODES_MAX {
            return fail(node.span.start(), format!("the text has more than {NODES_MAX} values"));
        }
        let duplicates = self.duplicates;
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        parent.size = parent.size.saturating_add(size);
        parent.depth = parent.depth.max(depth + 1);
        match &mut parent.content {
            Content::Seq(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                None => {
                    let text = resolve::key_text(&node.value)
                        .map_err(|message| SyntaxError { position: node.span.start(), message })?;
                    *key = Some(PendingKey::Plain(Key { text, span: node.span }));
                }
                Some(PendingKey::Plain(key)) => entries.put(Entry { key, node, merged: false }, duplicates)?,
                Some(PendingKey::Merge(at)) => entries.merge(node, at)?,
            },
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, size: u64, depth: u32) {
        // Zero is the parser's "no anchor".
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, pending: PendingKey) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(pending);
        }
    }
}

impl Entries {
    /// Adds an entry; a later one replaces an earlier one of the same key, in the earlier one's place in the order.
    fn put(&mut self, entry: Entry, duplicates: Duplicates) -> Result<(), SyntaxError> {
        let first = self.index_of.get(&entry.key.text).filter(|_| duplicates != Duplicates::Kept);
        let Some(&index) = first else {
            self.index_of.insert(entry.key.text.clone(), self.list.len());
            self.list.push(entry);
            return Ok(());
        };
        let existing = &mut self.list[index];
        if duplicates == Duplicates::Refused && !existing.merged && !entry.merged {
            let message =
                format!("key {:?} is already set in this mapping, at {}", entry.key.text, existing.key.span.start());
            return fail(entry.key.span.start(), message);
        }
        *existing = entry;
        Ok(())
    }

    /// Merges as goyaml does: in the order of the text, so that a merge replaces what stands before it. Of several
    /// merged mappings the first one has precedence.
    fn merge(&mut self, node: Node, at: Position) -> Result<(), SyntaxError> {
        match node.value {
            Value::Map(merged) => {
                for (key, node) in merged {
                    self.put(Entry { key, node, merged: true }, Duplicates::LastWins)?;
                }
                Ok(())
            }
            Value::Seq(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
                items.into_iter().rev().try_for_each(|item| self.merge(item, at))
            }
            other => fail(at, format!("`<<` merges a mapping or a sequence of mappings, found {}", other.describe())),
        }
    }
}

fn scalar_tag(tag: Option<&Tag>) -> ScalarTag {
    let Some(tag) = tag else { return ScalarTag::None };
    tag.suffix_in_namespace(CORE_TAGS).map_or(ScalarTag::Other, |suffix| ScalarTag::from_core(&suffix))
}

fn is_merge_tag(tag: &Tag) -> bool {
    tag.suffix_in_namespace(CORE_TAGS).is_some_and(|suffix| suffix == "merge")
}

fn position_of(marker: &Marker) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

fn span_of(span: &granit_parser::Span) -> Span {
    let start = position_of(&span.start);
    Span { line: start.line, column: start.column, end: position_of(&span.end) }
}

fn scan_error(error: ScanError) -> SyntaxError {
    SyntaxError { position: position_of(error.marker()), message: error.info() }
}

fn fail<T>(position: Position, message: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError { position, message: message.into() })
}
