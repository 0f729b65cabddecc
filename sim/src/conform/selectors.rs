//! Label selectors as text, `app=web,tier in (front, back),!canary`: what list requests and `kubectl -l` say.
//!
//! Source: `Lexer`, `Parser`, staging/src/k8s.io/apimachinery/pkg/labels/selector.go (v1.34.1). Absent on purpose: the
//! check of keys and values against the rules for labels.

use std::collections::BTreeSet;

use wavetank_core::id::Name;
use wavetank_core::model::{Selector, SelectorOperator, SelectorRequirement};

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
    let mut parser = Parser { tokens: scan(text), at: 0 };
    let mut selector = Selector::default();
    loop {
        match parser.ahead() {
            Token::Identifier | Token::Not => {}
            Token::End => return Ok(selector),
            _ => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", parser.literal())),
        }
        let requirement = parser.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
        selector = with(selector, requirement);
        match parser.take() {
            (Token::End, _) => return Ok(selector),
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

    fn requirement(&mut self) -> Result<SelectorRequirement, String> {
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
            return Ok(made(SelectorOperator::DoesNotExist, BTreeSet::new()));
        }
        if matches!(self.ahead(), Token::End | Token::Comma) {
            return Ok(made(SelectorOperator::Exists, BTreeSet::new()));
        }
        let (operator, word) = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        self.at += 1;
        let operator = match operator {
            Token::In => return Ok(made(SelectorOperator::In, self.values()?)),
            Token::NotIn => return Ok(made(SelectorOperator::NotIn, self.values()?)),
            Token::Equals => SelectorOperator::In,
            Token::NotEquals => SelectorOperator::NotIn,
            Token::Greater => SelectorOperator::Gt,
            Token::Less => SelectorOperator::Lt,
            _ => return Err(format!("found '{word}', expected: {OPERATORS}")),
        };
        Ok(made(operator, self.exact_value()?))
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
    fn what_cannot_be_read_is_refused_in_the_api_servers_words() {
        let refused = |text: &str| parse(text).expect_err("the selector is not well formed");
        assert_eq!(refused("x in (a"), "unable to parse requirement: found '', expected: ',' or ')'");
        assert_eq!(refused("x in a"), "unable to parse requirement: found 'a' expected: '('");
        assert_eq!(refused("=a"), "found '=', expected: !, identifier, or 'end of string'");
        assert_eq!(refused("a=b,"), "found '', expected: identifier after ','");
        assert_eq!(refused("a=b c"), "found 'c', expected: ',' or 'end of string'");
        assert_eq!(refused("a b"), format!("unable to parse requirement: found 'b', expected: {OPERATORS}"));
        assert_eq!(refused("a=("), "unable to parse requirement: found '(', expected: identifier");
    }
}
