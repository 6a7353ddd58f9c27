//! Reads what a lint must know of a PromQL expression: its selectors, the functions around them,
//! and the labels that it groups by.
//!
//! Strict rather than complete: what our queries do not use is refused, so that nothing is skipped
//! unseen. Whether an expression is well-typed is for `promtool` and Prometheus to say.

/// What an expression asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) selectors: Vec<Selector>,
    /// The labels of `by` and `on`.
    pub(super) grouped: Vec<String>,
    /// Whether an aggregation drops what it does not group by.
    pub(super) aggregated: bool,
}

/// One series selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) name: String,
    /// Label, operator, value.
    pub(super) matchers: Vec<(String, String, String)>,
    pub(super) range: bool,
    /// The functions and aggregations around it, the nearest last.
    pub(super) within: Vec<String>,
}

/// Aggregations, which take `by`.
const AGGREGATIONS: [&str; 5] = ["avg", "count", "max", "min", "sum"];

/// Functions of a range.
pub(super) const RANGE_FUNCTIONS: [&str; 5] =
    ["avg_over_time", "increase", "max_over_time", "min_over_time", "rate"];

/// Functions of anything else.
const FUNCTIONS: [&str; 3] = ["histogram_quantile", "round", "time"];

/// Words between operands.
const OPERATORS: [&str; 3] = ["and", "or", "unless"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    Sign(String),
}

/// Reads an expression.
pub(super) fn read(expr: &str) -> Result<Facts, String> {
    let mut reader = Reader { tokens: tokens(expr)?, at: 0, facts: Facts::default() };
    reader.expression()?;
    Ok(reader.facts)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    facts: Facts,
}

impl Reader {
    fn expression(&mut self) -> Result<(), String> {
        // `None` for a parenthesis that calls nothing.
        let mut open: Vec<Option<String>> = Vec::new();
        while let Some(token) = self.next() {
            match token {
                Token::Sign(sign) if sign == "(" => open.push(None),
                Token::Sign(sign) if sign == ")" => {
                    open.pop().ok_or("a parenthesis is closed that was not opened")?;
                }
                Token::Sign(sign) if ["{", "}", "[", "]", "=", "=~", "!~"].contains(&&*sign) => {
                    return Err(format!("{sign} stands alone"));
                }
                Token::Sign(_) | Token::Number(_) | Token::Text(_) => {}
                Token::Word(word) => self.word(word, &mut open)?,
            }
        }
        if open.is_empty() { Ok(()) } else { Err("a parenthesis is not closed".to_owned()) }
    }

    fn word(&mut self, word: String, open: &mut Vec<Option<String>>) -> Result<(), String> {
        if OPERATORS.contains(&&*word) {
            return Ok(());
        }
        match word.as_str() {
            "by" | "on" => {
                let labels = self.labels()?;
                self.facts.grouped.extend(labels);
                return Ok(());
            }
            "offset" => return self.duration(),
            _ => {}
        }
        let aggregates = AGGREGATIONS.contains(&&*word);
        self.facts.aggregated |= aggregates;
        if aggregates && self.peek("by") {
            self.at += 1;
            let labels = self.labels()?;
            self.facts.grouped.extend(labels);
        }
        if self.peek("(") {
            let known =
                aggregates || RANGE_FUNCTIONS.contains(&&*word) || FUNCTIONS.contains(&&*word);
            if !known {
                return Err(format!("{word} is a function that is not used here"));
            }
            self.at += 1;
            open.push(Some(word));
            return Ok(());
        }
        let matchers = if self.peek("{") { self.matchers()? } else { Vec::new() };
        let range = self.peek("[");
        if range {
            self.at += 1;
            self.duration()?;
            self.expect("]")?;
        }
        let within = open.iter().flatten().cloned().collect();
        self.facts.selectors.push(Selector { name: word, matchers, range, within });
        Ok(())
    }

    fn labels(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut labels = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(label)) => labels.push(label),
                Some(Token::Sign(sign)) if sign == "," => {}
                Some(Token::Sign(sign)) if sign == ")" => return Ok(labels),
                other => return Err(format!("{other:?} among labels")),
            }
        }
    }

    fn matchers(&mut self) -> Result<Vec<(String, String, String)>, String> {
        self.expect("{")?;
        let mut matchers = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(label)) => match (self.next(), self.next()) {
                    (Some(Token::Sign(operator)), Some(Token::Text(value)))
                        if ["=", "!=", "=~", "!~"].contains(&&*operator) =>
                    {
                        matchers.push((label, operator, value));
                    }
                    other => return Err(format!("{other:?} after the label {label}")),
                },
                Some(Token::Sign(sign)) if sign == "," => {}
                Some(Token::Sign(sign)) if sign == "}" => return Ok(matchers),
                other => return Err(format!("{other:?} among matchers")),
            }
        }
    }

    fn duration(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Token::Number(text)) if crate::rules::seconds(&text).is_some() => Ok(()),
            Some(Token::Word(word)) if ["$__rate_interval", "$__range"].contains(&&*word) => Ok(()),
            other => Err(format!("{other:?} is no duration")),
        }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self, expected: &str) -> bool {
        matches!(self.tokens.get(self.at),
            Some(Token::Sign(text) | Token::Word(text)) if text == expected)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.peek(sign) {
            self.at += 1;
            return Ok(());
        }
        Err(format!("{:?} where {sign} should stand", self.tokens.get(self.at)))
    }
}

fn tokens(expr: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expr.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$');
        let length = if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            let end = end.unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].to_owned()));
            end
        } else if word(first) {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else if first == '"' {
            let end = rest[1..].find('"').ok_or("a text is not closed")?;
            if rest[1..=end].contains('\\') {
                return Err("an escape in a text is not used here".to_owned());
            }
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            end + 2
        } else {
            let two =
                rest.get(..2).filter(|two| ["!=", "=~", "!~", "==", ">=", "<="].contains(two));
            let sign = two.or_else(|| rest.get(..first.len_utf8())).unwrap_or_default();
            if two.is_none() && !"(){}[],=<>+-*/".contains(first) {
                return Err(format!("{first} is not used here"));
            }
            tokens.push(Token::Sign(sign.to_owned()));
            sign.len()
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_taken_apart() {
        let facts = read(
            r#"histogram_quantile(0.9, sum by (le, a) (rate(x_bucket{b=~"$c", d!="e"}[$__rate_interval]))) > 0"#,
        )
        .unwrap();
        assert_eq!(facts.grouped, ["le", "a"]);
        assert!(facts.aggregated);
        let [selector] = &facts.selectors[..] else { panic!("{facts:?}") };
        assert_eq!(selector.name, "x_bucket");
        assert_eq!(selector.within, ["histogram_quantile", "sum", "rate"]);
        assert!(selector.range);
        assert_eq!(selector.matchers[1], ("d".into(), "!=".into(), "e".into()));
    }

    #[test]
    fn what_is_not_used_here_is_refused() {
        for expr in [
            "sum(a",
            "a)",
            "a{b=c}",
            "a{b}",
            r#"a{b="c""#,
            "a[5]",
            "a[five]",
            "irate(a[5m])",
            "a @ 5",
            "sum by a (b)",
            "a offset",
            r#"a{b="\d"}"#,
            "{}",
        ] {
            assert!(read(expr).is_err(), "{expr}");
        }
    }
}
