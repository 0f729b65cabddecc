//! Expressions: parsed once when the scenario is read, with every name checked.
//!
//! Calls of this program's own functions (`pod("web")`, `ready(x)`) are rewritten to lookups in hidden variables, so
//! that they cost nothing unless they are evaluated and borrow what they return.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::common::ast::operators::INDEX;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{Env, Program, extensions};
use wavetank_core::model::Kind;
use wavetank_manifest::nearest;

use super::syntax;
use crate::plan::scenario::parse_span;

/// Variables of all objects of a kind.
pub(super) const LISTS: &[(&str, Kind)] = &[
    ("nodes", Kind::Node),
    ("pods", Kind::Pod),
    ("deployments", Kind::Deployment),
    ("replicaSets", Kind::ReplicaSet),
    ("replicationControllers", Kind::ReplicationController),
    ("jobs", Kind::Job),
    ("cronJobs", Kind::CronJob),
    ("statefulSets", Kind::StatefulSet),
    ("daemonSets", Kind::DaemonSet),
    ("controllerRevisions", Kind::ControllerRevision),
    ("services", Kind::Service),
    ("endpointSlices", Kind::EndpointSlice),
    ("namespaces", Kind::Namespace),
    ("persistentVolumes", Kind::PersistentVolume),
    ("persistentVolumeClaims", Kind::PersistentVolumeClaim),
    ("storageClasses", Kind::StorageClass),
    ("csiNodes", Kind::CSINode),
    ("volumeAttachments", Kind::VolumeAttachment),
    ("csiDrivers", Kind::CSIDriver),
    ("csiStorageCapacities", Kind::CSIStorageCapacity),
    ("podDisruptionBudgets", Kind::PodDisruptionBudget),
    ("configMaps", Kind::ConfigMap),
    ("secrets", Kind::Secret),
    ("serviceAccounts", Kind::ServiceAccount),
    ("resourceQuotas", Kind::ResourceQuota),
    ("limitRanges", Kind::LimitRange),
    ("priorityClasses", Kind::PriorityClass),
];
/// Functions that find one object by its name.
pub(super) const FINDERS: &[(&str, Kind)] = &[
    ("node", Kind::Node),
    ("pod", Kind::Pod),
    ("deployment", Kind::Deployment),
    ("replicaSet", Kind::ReplicaSet),
    ("replicationController", Kind::ReplicationController),
    ("job", Kind::Job),
    ("cronJob", Kind::CronJob),
    ("statefulSet", Kind::StatefulSet),
    ("daemonSet", Kind::DaemonSet),
    ("service", Kind::Service),
    ("persistentVolume", Kind::PersistentVolume),
    ("persistentVolumeClaim", Kind::PersistentVolumeClaim),
    ("storageClass", Kind::StorageClass),
    ("csiNode", Kind::CSINode),
    ("volumeAttachment", Kind::VolumeAttachment),
    ("podDisruptionBudget", Kind::PodDisruptionBudget),
    ("configMap", Kind::ConfigMap),
    ("secret", Kind::Secret),
    ("serviceAccount", Kind::ServiceAccount),
    ("resourceQuota", Kind::ResourceQuota),
    ("limitRange", Kind::LimitRange),
    ("priorityClass", Kind::PriorityClass),
];
/// The time since the beginning of the run.
pub(super) const NOW: &str = "now";
/// What a study of placement has measured; the only variable of one.
pub(super) const STUDY: &str = "study";
/// The ready addresses of a service.
pub(super) const ENDPOINTS: &str = "endpoints";
/// Whether an object is ready.
pub(super) const READY: &str = "ready";

/// Functions and methods of CEL's standard library and of the extensions that [`ENV`] has.
const STANDARD: &[&str] = &[
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
    "has",
    "size",
    "type",
    "dyn",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "duration",
    "timestamp",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "max",
    "min",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "quote",
    "replace",
    "reverse",
    "split",
    "substring",
    "trim",
    "format",
    "distinct",
    "flatten",
    "range",
    "slice",
    "sort",
    "sortBy",
    "first",
    "last",
    "greatest",
    "least",
    "abs",
    "ceil",
    "floor",
    "round",
    "trunc",
    "sign",
    "isNaN",
    "isInf",
    "isFinite",
    "hasValue",
    "value",
    "of",
    "none",
    "ofNonZeroValue",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
];
/// Names that are no variables but mean something: types, and namespaces of functions.
const STANDARD_NAMES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
    "math",
    "strings",
    "lists",
    "optional",
    "google",
];

/// CEL with Kubernetes' string and list functions.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math] {
        env.add_extension(extension).expect("the extensions' names differ");
    }
    Arc::new(env)
});

/// An expression that can be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The expression, rewritten.
    pub(super) root: IdedExpr,
    /// The text of each operand worth showing: (text, expression).
    pub(super) operands: Vec<(String, IdedExpr)>,
    /// The kinds of objects that the value depends on.
    pub(super) kinds: BTreeSet<Kind>,
    /// The variables and hidden variables that it mentions.
    pub(super) variables: BTreeSet<String>,
}

/// What is wrong with an expression: where in its text (line and column from 1), what, and what was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Compiled {
    /// Parses an expression and checks its names.
    ///
    /// Errors: every mistake of syntax, or every unknown name.
    pub(super) fn parse(source: &str) -> Result<Compiled, Vec<Fault>> {
        let program =
            ENV.compile(source).map_err(|errors| errors.errors.iter().map(syntax::fault).collect::<Vec<_>>())?;
        let mut checker =
            Checker { source, program: &program, scopes: Vec::new(), faults: Vec::new(), used: Vec::new() };
        let mut root = program.expression().clone();
        checker.rewrite(&mut root);
        if !checker.faults.is_empty() {
            return Err(checker.faults);
        }
        let variables: BTreeSet<String> = checker.used.into_iter().collect();
        let kinds = variables.iter().flat_map(|name| kinds_of(name)).collect();
        let operands = operands(&root, source, &program);
        Ok(Compiled { root, operands, kinds, variables })
    }
}

/// The kinds behind a variable.
fn kinds_of(variable: &str) -> Vec<Kind> {
    let hidden = variable.strip_prefix('@');
    if hidden == Some(ENDPOINTS) {
        return vec![Kind::Service, Kind::EndpointSlice];
    }
    let found = match hidden {
        Some(name) => FINDERS.iter().find(|(finder, _)| *finder == name),
        None => LISTS.iter().find(|(list, _)| *list == variable),
    };
    found.map(|(_, kind)| *kind).into_iter().collect()
}

struct Checker<'a> {
    source: &'a str,
    program: &'a Program,
    /// Variables of the comprehensions around.
    scopes: Vec<String>,
    faults: Vec<Fault>,
    used: Vec<String>,
}

impl Checker<'_> {
    fn rewrite(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        match &mut node.expr {
            Expr::Ident(name) => {
                let name = name.clone();
                self.variable(id, &name);
            }
            Expr::Call(_) => self.call(node),
            Expr::Select(select) => self.rewrite(&mut select.operand),
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.rewrite(element)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.rewrite(&mut entry.key);
                        self.rewrite(&mut entry.value);
                    }
                }
            }
            Expr::Struct(structure) => {
                let message = format!("messages such as {} {{}} are not known here", structure.type_name);
                self.fault(id, message, None);
            }
            Expr::Comprehension(inner) => {
                self.rewrite(&mut inner.iter_range);
                let before = self.scopes.len();
                self.scopes.push(inner.iter_var.clone());
                self.scopes.extend(inner.iter_var2.clone());
                self.scopes.push(inner.accu_var.clone());
                for part in [&mut inner.accu_init, &mut inner.loop_cond, &mut inner.loop_step, &mut inner.result] {
                    self.rewrite(part);
                }
                self.scopes.truncate(before);
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn variable(&mut self, id: u64, name: &str) {
        if self.scopes.iter().any(|scope| scope == name) || STANDARD_NAMES.contains(&name) {
            return;
        }
        if name == NOW || name == STUDY || LISTS.iter().any(|(list, _)| *list == name) {
            self.used.push(name.to_owned());
            return;
        }
        let known =
            LISTS.iter().map(|(list, _)| *list).chain([NOW, STUDY]).chain(self.scopes.iter().map(String::as_str));
        let known: Vec<&str> = known.filter(|name| !name.starts_with('@')).collect();
        let suggestion = nearest(name, known.iter().copied()).map(str::to_owned);
        let all = if suggestion.is_some() { String::new() } else { format!("; known are {}", known.join(", ")) };
        self.fault(id, format!("unknown variable {name:?}{all}"), suggestion);
    }

    fn call(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        let Expr::Call(call) = &mut node.expr else { return };
        let name = call.func_name.clone();
        let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        let own = FINDERS.iter().any(|(finder, _)| *finder == name) || name == ENDPOINTS || name == READY;
        let global = call.target.is_none();
        if let Some(target) = &mut call.target {
            self.rewrite(target);
        }
        call.args.iter_mut().for_each(|argument| self.rewrite(argument));
        if global
            && name == "duration"
            && let [argument] = call.args.as_slice()
            && let Expr::Literal(LiteralValue::String(text)) = &argument.expr
            && let Err(message) = parse_span(text.inner().trim_start_matches('-'))
        {
            return self.fault(id, message, None);
        }
        if global && own {
            if call.args.len() != 1 {
                let found = call.args.len();
                return self.fault(id, format!("{name} takes one argument, found {found}"), None);
            }
            let variable = format!("@{name}");
            self.used.push(variable.clone());
            let argument = call.args.remove(0);
            let table = IdedExpr { id, expr: Expr::Ident(variable) };
            node.expr = Expr::Call(CallExpr { func_name: INDEX.to_owned(), target: None, args: vec![table, argument] });
        } else if !is_operator && !STANDARD.contains(&name.as_str()) {
            let own = FINDERS.iter().map(|(finder, _)| *finder).chain([ENDPOINTS, READY]);
            let suggestion = nearest(&name, own.chain(STANDARD.iter().copied())).map(str::to_owned);
            let what = if global { "function" } else { "method" };
            self.fault(id, format!("unknown {what} {name:?}"), suggestion);
        }
    }

    fn fault(&mut self, id: u64, message: String, suggestion: Option<String>) {
        let offset = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
        let before: String = self.source.chars().take(offset).collect();
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        self.faults.push(Fault { line, column, message, suggestion });
    }
}

/// What decides the expression's value: the operands of its comparisons, through `&&`, `||` and `!`.
fn operands(root: &IdedExpr, source: &str, program: &Program) -> Vec<(String, IdedExpr)> {
    let mut found = Vec::new();
    collect(root, source, program, &mut found);
    found
}

fn collect(node: &IdedExpr, source: &str, program: &Program, found: &mut Vec<(String, IdedExpr)>) {
    match &node.expr {
        Expr::Call(call) => match call.func_name.as_str() {
            "_&&_" | "_||_" | "!_" | "_?_:_" => {
                call.args.iter().for_each(|argument| collect(argument, source, program, found));
            }
            "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in" => {
                for argument in &call.args {
                    if !is_literal(argument) {
                        found.push((text_of(argument, source, program), argument.clone()));
                    }
                }
            }
            _ => found.push((text_of(node, source, program), node.clone())),
        },
        // `pods.all(p, …)`: what it ran over, if that is short, says little; its own value is the result.
        Expr::Comprehension(inner) => {
            found.push((format!("size({})", text_of(&inner.iter_range, source, program)), size_of(&inner.iter_range)));
        }
        Expr::Literal(_) => {}
        _ => found.push((text_of(node, source, program), node.clone())),
    }
}

fn size_of(list: &IdedExpr) -> IdedExpr {
    let call = CallExpr { func_name: "size".to_owned(), target: None, args: vec![list.clone()] };
    IdedExpr { id: list.id, expr: Expr::Call(call) }
}

fn is_literal(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(is_literal),
        Expr::Call(call) => {
            (call.func_name == "duration" || call.func_name == "-_") && call.args.iter().all(is_literal)
        }
        _ => false,
    }
}

/// The text of a part, from its first token to its last, with the brackets that it opens closed.
fn text_of(node: &IdedExpr, source: &str, program: &Program) -> String {
    let mut range = None;
    span(node, program, &mut range);
    let Some((start, stop)) = range else { return "value".to_owned() };
    let characters: Vec<char> = source.chars().collect();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    // Offsets are those of tokens: a call's is its bracket, a selection's its dot. Complete the names and the brackets.
    let mut start = start as usize;
    while start > 0 && characters[start] == '(' && is_name(characters[start - 1]) {
        start -= 1;
        while start > 0 && is_name(characters[start - 1]) {
            start -= 1;
        }
    }
    let mut end = (stop as usize + 1).min(characters.len());
    while end < characters.len() && is_name(characters[end]) {
        end += 1;
    }
    let slice = &characters[start..end];
    let mut open = slice.iter().filter(|c| "([".contains(**c)).count();
    let mut closed = slice.iter().filter(|c| ")]".contains(**c)).count();
    while open > closed && end < characters.len() {
        open += usize::from("([".contains(characters[end]));
        closed += usize::from(")]".contains(characters[end]));
        end += 1;
    }
    let text: String = characters[start..end].iter().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn span(node: &IdedExpr, program: &Program, range: &mut Option<(u32, u32)>) {
    if let Some((start, stop)) = program.source_info().offset_for(node.id) {
        let (low, high) = range.unwrap_or((start, stop));
        *range = Some((low.min(start), high.max(stop)));
    }
    match &node.expr {
        Expr::Call(call) => {
            call.target.iter().for_each(|target| span(target, program, range));
            call.args.iter().for_each(|argument| span(argument, program, range));
        }
        Expr::Select(select) => span(&select.operand, program, range),
        Expr::Comprehension(inner) => {
            span(&inner.iter_range, program, range);
            span(&inner.loop_step, program, range);
        }
        Expr::List(list) => list.elements.iter().for_each(|element| span(element, program, range)),
        _ => {}
    }
}
