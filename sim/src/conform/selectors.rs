//! Label selectors as text, `app=web,tier in (front, back),!canary`: what list requests and `kubectl -l` say.
//!
//! Source: `Lexer`, `Parser`, `NewRequirement`, staging/src/k8s.io/apimachinery/pkg/labels/selector.go (v1.34.1).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wavetank_core::id::Name;
use wavetank_core::model::{Selector, SelectorOperator, SelectorRequirement};
use wavetank_manifest::kubernetes::{label_key_faults, label_value_faults};

/// The operators between a key and its values, as a message lists them.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    In,
    NotIn,
    Open,
    Identifier,
    Wrong,
}

/// Reads a selector. An empty text selects everything.
///
/// Errors: what the API server says to a selector that it cannot read.
pub fn parse(text: &str) -> Result<Selector, String> {
    let required = requirements(text)?.into_iter().map(|(_, requirement)| requirement);
    Ok(required.fold(Selector::default(), with))
}

/// The selector of a manifest that kubectl makes of a text.
///
/// Errors: a text that cannot be read, and operators that manifests have not got.
///
/// Source: `ParseToLabelSelector`, staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go (v1.34.1).
pub fn manifest(text: &str) -> Result<Value, String> {
    let mut required =
        requirements(text).map_err(|error| format!("couldn't parse the selector string {text:?}: {error}"))?;
    required.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for (operator, SelectorRequirement { key, values, .. }) in &required {
        let values: Vec<&str> = values.iter().map(|value| &**value).collect();
        let named = match operator {
            Token::Equals => {
                labels.insert(key.to_string(), values.concat().into());
                continue;
            }
            Token::In => "In",
            Token::NotIn => "NotIn",
            Token::Not => "DoesNotExist",
            Token::Identifier => "Exists",
            Token::Greater | Token::Less => {
                let word = if *operator == Token::Greater { "gt" } else { "lt" };
                return Err(format!("{word:?} isn't supported in label selectors"));
            }
            _ => return Err("\"!=\" is not a valid label selector operator".to_owned()),
        };
        let mut expression = json!({"key": &**key, "operator": named});
        if !matches!(operator, Token::Not | Token::Identifier) {
            expression["values"] = values.into();
        }
        expressions.push(expression);
    }
    let mut selector = Map::new();
    if !labels.is_empty() {
        selector.insert("matchLabels".to_owned(), labels.into());
    }
    if !expressions.is_empty() {
        selector.insert("matchExpressions".to_owned(), expressions.into());
    }
    Ok(selector.into())
}

/// What a selector requires, each with the operator as it is written: `Not` for a key that must not be there, and
/// `Identifier` for one that must.
fn requirements(text: &str) -> Result<Vec<(Token, SelectorRequirement)>, String> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    let mut required = Vec::new();
    loop {
        match parser.ahead() {
            Token::Identifier | Token::Not => {}
            Token::End => return Ok(required),
            _ => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", parser.literal())),
        }
        required.push(parser.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?);
        match parser.take() {
            (Token::End, _) => return Ok(required),
            (Token::Comma, _) if matches!(parser.ahead(), Token::Identifier | Token::Not) => {}
            (Token::Comma, _) => return Err(format!("found '{}', expected: identifier after ','", parser.literal())),
            (_, literal) => return Err(format!("found '{literal}', expected: ',' or 'end of string'")),
        }
    }
}

/// Equality goes into the pairs, as in manifests, and everything else into the expressions.
fn with(selector: Selector, requirement: SelectorRequirement) -> Selector {
    let Selector { match_labels, mut match_expressions } = selector;
    match (requirement.operator, &requirement.values[..]) {
        (SelectorOperator::In, [value]) if match_labels.get(&requirement.key).is_none() => {
            Selector { match_labels: match_labels.with(requirement.key, value.clone()), match_expressions }
        }
        _ => {
            match_expressions.push(requirement);
            Selector { match_labels, match_expressions }
        }
    }
}

fn scan(text: &str) -> Vec<(Token, String)> {
    let special = |letter: char| "=!(),><".contains(letter);
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, String::new()));
            return tokens;
        };
        let length = if special(first) {
            let two = rest.get(..2).filter(|two| matches!(*two, "==" | "!="));
            two.map_or(1, str::len)
        } else {
            rest.find(|letter: char| special(letter) || letter.is_ascii_whitespace()).unwrap_or(rest.len())
        };
        let (literal, after) = rest.split_at(length);
        tokens.push((token(literal), literal.to_owned()));
        rest = after;
    }
}

fn token(literal: &str) -> Token {
    match literal {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "=" | "==" => Token::Equals,
        "!=" => Token::NotEquals,
        ">" => Token::Greater,
        "<" => Token::Less,
        "(" => Token::Open,
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ if literal.starts_with(['=', '!', '>', '<']) => Token::Wrong,
        _ => Token::Identifier,
    }
}

struct Parser {
    tokens: Vec<(Token, String)>,
    at: usize,
}

impl Parser {
    /// The next token where a key or a value may stand: `in` and `notin` are words there.
    fn ahead(&self) -> Token {
        match self.tokens[self.at.min(self.tokens.len() - 1)].0 {
            Token::In | Token::NotIn => Token::Identifier,
            other => other,
        }
    }

    fn literal(&self) -> &str {
        &self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    fn take(&mut self) -> (Token, String) {
        let taken = (self.ahead(), self.literal().to_owned());
        self.at += 1;
        taken
    }

    fn requirement(&mut self) -> Result<(Token, SelectorRequirement), String> {
        let (mut token, mut literal) = self.take();
        let absent = token == Token::Not;
        if absent {
            (token, literal) = self.take();
        }
        if token != Token::Identifier {
            return Err(format!("found '{literal}', expected: identifier"));
        }
        let made = |operator, values: BTreeSet<String>| SelectorRequirement {
            key: literal.as_str().into(),
            operator,
            values: values.into_iter().map(Name::from).collect(),
        };
        if absent {
            return judged(Token::Not, made(SelectorOperator::DoesNotExist, BTreeSet::new()));
        }
        if matches!(self.ahead(), Token::End | Token::Comma) {
            return judged(Token::Identifier, made(SelectorOperator::Exists, BTreeSet::new()));
        }
        let (token, word) = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        self.at += 1;
        let operator = match token {
            Token::In | Token::Equals => SelectorOperator::In,
            Token::NotIn | Token::NotEquals => SelectorOperator::NotIn,
            Token::Greater => SelectorOperator::Gt,
            Token::Less => SelectorOperator::Lt,
            _ => return Err(format!("found '{word}', expected: {OPERATORS}")),
        };
        let several = matches!(token, Token::In | Token::NotIn);
        let values = if several { self.values()? } else { self.exact_value()? };
        judged(token, made(operator, values))
    }

    fn exact_value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.ahead(), Token::End | Token::Comma) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.take() {
            (Token::Identifier, value) => Ok(BTreeSet::from([value])),
            (_, literal) => Err(format!("found '{literal}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, literal) = self.take();
        if token != Token::Open {
            return Err(format!("found '{literal}' expected: '('"));
        }
        match self.ahead() {
            Token::Identifier | Token::Comma => {}
            Token::Close => {
                self.take();
                return Ok(BTreeSet::from([String::new()]));
            }
            _ => return Err(format!("found '{}', expected: ',', ')' or identifier", self.literal())),
        }
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                (Token::Identifier, value) => {
                    values.insert(value);
                    match self.ahead() {
                        Token::Comma => {}
                        Token::Close => break,
                        _ => return Err(format!("found '{}', expected: ',' or ')'", self.literal())),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() || self.ahead() == Token::Close {
                        values.insert(String::new());
                    }
                    if self.ahead() == Token::Close {
                        break;
                    }
                    if self.ahead() == Token::Comma {
                        self.take();
                        values.insert(String::new());
                    }
                }
                (_, literal) => return Err(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
        self.take();
        Ok(values)
    }
}

/// A requirement whose key and values may be those of labels.
fn judged(token: Token, required: SelectorRequirement) -> Result<(Token, SelectorRequirement), String> {
    let mut faults = Vec::new();
    let mut fault = |place: &str, value: &str, why: &str| {
        let said = format!("{place}: Invalid value: {value:?}: {why}");
        if !faults.contains(&said) {
            faults.push(said);
        }
    };
    let key = &*required.key;
    let wrong = label_key_faults(key);
    if !wrong.is_empty() {
        fault("<nil>", key, &wrong.join("; "));
    }
    if matches!(token, Token::Greater | Token::Less) {
        for (at, value) in required.values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err()) {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            fault(&format!("values[{at}]"), value, why);
        }
    }
    for (at, value) in required.values.iter().enumerate() {
        let wrong = label_value_faults(value);
        if !wrong.is_empty() {
            fault(&format!("values[{at}][{key}]"), value, &wrong.join("; "));
        }
    }
    match faults.as_slice() {
        [] => Ok((token, required)),
        [only] => Err(only.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_core::model::Labels;

    use super::*;

    fn select(text: &str, pairs: &[(&str, &str)]) -> bool {
        parse(text).expect("the selector is well formed").matches(&Labels::new(pairs.iter().copied()))
    }

    #[test]
    fn every_form_of_a_requirement_selects_what_it_says() {
        let labels = [("app", "till"), ("tier", "front"), ("load", "7")];
        for holds in [
            "",
            "app=till",
            "app==till,tier",
            "tier in (back, front)",
            "tier notin (back)",
            "!canary",
            "app!=shop",
            "canary!=x",
            "load>6",
            "load<8",
            "in!=notin",
        ] {
            assert!(select(holds, &labels), "{holds}");
        }
        for fails in ["app=shop", "canary", "!app", "tier in (back)", "tier notin (front,back)", "app!=till", "load>7"]
        {
            assert!(!select(fails, &labels), "{fails}");
        }
    }

    #[test]
    fn a_manifest_s_selector_tells_pairs_and_expressions_apart() {
        let expected = json!({"matchLabels": {"app": "till"}, "matchExpressions": [
            {"key": "b", "operator": "Exists"}, {"key": "c", "operator": "DoesNotExist"},
            {"key": "tier", "operator": "In", "values": ["front"]}]});
        assert_eq!(manifest("tier in (front),app=till,b,!c"), Ok(expected));
        assert_eq!(manifest("a!=b"), Err("\"!=\" is not a valid label selector operator".to_owned()));
        assert_eq!(manifest("a>1"), Err("\"gt\" isn't supported in label selectors".to_owned()));
        let unread = "couldn't parse the selector string \"=\": found '=', expected: !, identifier, or 'end of string'";
        assert_eq!(manifest("="), Err(unread.to_owned()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_the_api_servers_words() {
        let refused = |text: &str| parse(text).expect_err("the selector is not well formed");
        assert_eq!(refused("x in (a"), "unable to parse requirement: found '', expected: ',' or ')'");
        assert_eq!(refused("x in a"), "unable to parse requirement: found 'a' expected: '('");
        assert_eq!(refused("=a"), "found '=', expected: !, identifier, or 'end of string'");
        assert_eq!(refused("a=b,"), "found '', expected: identifier after ','");
        assert_eq!(refused("a=b c"), "found 'c', expected: ',' or 'end of string'");
        assert_eq!(refused("a b"), format!("unable to parse requirement: found 'b', expected: {OPERATORS}"));
        assert_eq!(refused("a=("), "unable to parse requirement: found '(', expected: identifier");
        let start = "unable to parse requirement: ";
        let long = "b".repeat(64);
        let too_long = format!("{start}values[0][a]: Invalid value: {long:?}: must be no more than 63 characters");
        assert_eq!(refused(&format!("a={long}")), too_long);
        let no_number = "values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer";
        assert_eq!(refused("a>x"), format!("{start}{no_number}"));
        let key = refused("-a=b");
        assert!(key.starts_with(&format!("{start}<nil>: Invalid value: \"-a\": name part must consist of")), "{key}");
    }
}
