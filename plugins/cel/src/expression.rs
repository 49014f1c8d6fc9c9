//! One expression: compiled, checked as far as that can be done beforehand, evaluated.

use std::{collections::BTreeSet, sync::Arc};

use cel::{
    Context, Env, ExecutionError, IdedExpr, ParseErrors, Value,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
    parser::PrattParser,
};
use mcsdns_policy_sdk::{ConfigError, Refusal};

/// What an expression may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Variables; those with fields have no others.
    pub(crate) variables: &'static [(&'static str, &'static [&'static str])],
}

/// What an expression results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Names,
    Bool,
    Seconds,
}

impl Kind {
    const fn wanted(self) -> &'static str {
        match self {
            Self::Names => "a text or a list of texts",
            Self::Bool => "true or false",
            Self::Seconds => "a whole number",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Names, Value::List(items)) => items.iter().all(|item| matches!(item, Value::String(_))),
            (Self::Names, Value::String(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Seconds, Value::Int(_) | Value::UInt(_)) => true,
            _ => false,
        }
    }
}

/// What expressions use, beyond what is there anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Variables, and fields as `variable.field`.
    pub(crate) names: BTreeSet<String>,
    /// Keys of `cluster.labels`.
    pub(crate) labels: BTreeSet<String>,
    /// Keys of `record.annotations`.
    pub(crate) annotations: BTreeSet<String>,
}

impl Uses {
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.labels.extend(other.labels.iter().cloned());
        self.annotations.extend(other.annotations.iter().cloned());
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// Where it stands in the configuration.
    field: String,
    text: String,
    parsed: IdedExpr,
    kind: Kind,
    pub(crate) uses: Uses,
}

impl Expression {
    /// Compiles an expression and looks at every name in it.
    pub(crate) fn new(
        env: &Env,
        field: impl Into<String>,
        text: &str,
        scope: Scope,
        kind: Kind,
    ) -> Result<Self, ConfigError> {
        let field = field.into();
        let parsed = parser().parse(text).map_err(|errors| {
            let all: Vec<_> = errors
                .errors
                .iter()
                .map(|error| format!("line {}, column {}: {}", error.pos.0.max(1), error.pos.1.max(1), error.msg))
                .collect();
            ConfigError::new(field.clone(), all.join("; "))
        })?;
        let depth = depth(&parsed);
        if depth > DEPTH {
            let message = format!("it is {depth} parts deep or long, {DEPTH} are allowed; make it a list, or several");
            return Err(ConfigError::new(field, message));
        }
        let mut walk = Walk { env, scope, bound: Vec::new(), uses: Uses::default() };
        if let Err((id, message)) = walk.look_at(&parsed) {
            return Err(ConfigError::new(field, at(text, id, &message)));
        }
        let uses = walk.uses;
        Ok(Self { field, text: text.to_owned(), parsed, kind, uses })
    }

    /// Evaluates it with sample values: what can never work is found now rather than at the first decision. What
    /// depends on values (an index, a key, a number that is no number) is not held against it.
    pub(crate) fn rehearse(&self, context: &Context<'_, '_>) -> Result<Option<Value>, ConfigError> {
        match context.resolve(&self.parsed) {
            Ok(value) if self.kind.fits(&value) => Ok(Some(value)),
            Ok(value) => Err(ConfigError::new(self.field.clone(), self.misfit(&value))),
            Err(
                ExecutionError::NoSuchKey(_)
                | ExecutionError::IndexOutOfBounds(_)
                | ExecutionError::DivisionByZero(_)
                | ExecutionError::RemainderByZero(_)
                | ExecutionError::Overflow(..)
                | ExecutionError::FunctionError { .. },
            ) => Ok(None),
            Err(error) => Err(ConfigError::new(self.field.clone(), self.explain(&error))),
        }
    }

    /// Evaluates it.
    pub(crate) fn evaluate(&self, context: &Context<'_, '_>) -> Result<Value, Refusal> {
        match context.resolve(&self.parsed) {
            Ok(value) if self.kind.fits(&value) => Ok(value),
            Ok(value) => Err(Refusal::new(self.field.clone(), self.misfit(&value))),
            Err(error) => Err(Refusal::new(self.field.clone(), self.explain(&error))),
        }
    }

    /// Evaluates it; only for [`Kind::Bool`].
    pub(crate) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, Refusal> {
        Ok(matches!(self.evaluate(context)?, Value::Bool(true)))
    }

    /// An error at a place of this expression.
    pub(crate) fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.field.clone(), message)
    }

    fn misfit(&self, value: &Value) -> String {
        format!("this gives a {}, but {} is needed", value.type_of(), self.kind.wanted())
    }

    fn explain(&self, error: &ExecutionError) -> String {
        let (function, message) = match error {
            ExecutionError::NoSuchOverload(overload) => {
                let types = overload.argument_types().join(", ");
                (overload.function(), format!("{} does not work on ({types})", spelt(overload.function())))
            }
            ExecutionError::UnsupportedBinaryOperator(word, left, right) => {
                let operator =
                    OPERATORS.iter().find(|(known, _)| known == word).map_or(*word, |(_, operator)| operator);
                let types = format!("({}, {})", left.type_of(), right.type_of());
                (operator, format!("{} does not work on {types}", spelt(operator)))
            }
            ExecutionError::UndeclaredReference(name) => (name.as_str(), format!("there is no function `{name}`")),
            _ => return error.to_string(),
        };
        match call_of(&self.parsed, function) {
            Some(id) => at(&self.text, id, &message),
            None => message,
        }
    }
}

/// Arithmetic as some errors call it, and as calls do.
const OPERATORS: [(&str, &str); 5] = [
    ("add", operators::ADD),
    ("sub", operators::SUBSTRACT),
    ("mul", operators::MULTIPLY),
    ("div", operators::DIVIDE),
    ("rem", operators::MODULO),
];

/// An operator as people write it.
fn spelt(function: &str) -> String {
    let plain = operators::find_operator(function).unwrap_or(function);
    format!("`{}`", plain.trim_matches('_'))
}

/// How deep expressions may be nested: what is walked by calls of calls must fit into the stack of the component.
const NESTED: u16 = 48;

/// How deep an expression may be as a tree. A sum of many is as deep as it is long, without being nested.
const DEPTH: usize = 250;

/// The depth of an expression, found without going deep oneself.
fn depth(expr: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut open = vec![(expr, 1)];
    while let Some((expr, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(parts(&expr.expr).into_iter().map(|part| (part, depth + 1)));
    }
    deepest
}

/// The parser without tables: a third of the size of the other one.
fn parser() -> PrattParser {
    PrattParser::new().max_recursion_depth(NESTED)
}

/// A message with the line and column of a part of the expression.
fn at(text: &str, id: u64, message: &str) -> String {
    // The parser keeps places for errors only. So it gets one, behind the expression.
    let info = match parser().parse(&format!("{text}\n)")) {
        Ok(_) => None,
        Err(ParseErrors { errors }) => errors.into_iter().find_map(|error| error.source_info),
    };
    let Some((start, _)) = info.and_then(|info| info.offset_for(id)) else { return message.to_owned() };
    let before = text.get(..usize::try_from(start).unwrap_or_default()).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// The first call of that function.
fn call_of(expr: &IdedExpr, function: &str) -> Option<u64> {
    if let Expr::Call(call) = &expr.expr
        && call.func_name == function
    {
        return Some(expr.id);
    }
    parts(&expr.expr).into_iter().find_map(|part| call_of(part, function))
}

/// The expressions within an expression.
fn parts(expr: &Expr) -> Vec<&IdedExpr> {
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(loops) => {
            vec![&loops.iter_range, &loops.accu_init, &loops.loop_cond, &loops.loop_step, &loops.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Struct(fields) => fields.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// Fields that are asked for by key.
const KEYED: [&str; 2] = ["labels", "annotations"];

/// What is wrong with which part.
type Wrong = (u64, String);

/// Whether a label or annotation is there need not be asked.
fn never_missing(id: u64, key: &str) -> Wrong {
    (id, format!("one that is not there is empty: compare '{key}' with '' instead"))
}

/// Looks at the names in an expression.
struct Walk<'a> {
    env: &'a Env,
    scope: Scope,
    /// Variables of the loops around.
    bound: Vec<String>,
    uses: Uses,
}

impl Walk<'_> {
    fn look_at(&mut self, expr: &IdedExpr) -> Result<(), Wrong> {
        match &expr.expr {
            Expr::Ident(name) => return self.variable(expr.id, name),
            Expr::Select(select) => {
                if let Some(key) = self.keyed(&select.operand, || Some(select.field.clone()), expr.id)? {
                    return if select.test { Err(never_missing(expr.id, &key)) } else { Ok(()) };
                }
                if let Some(known) = self.record(&select.operand.expr) {
                    return self.field(expr.id, known, &select.field);
                }
            }
            Expr::Call(call) => {
                let literal = |expr: Option<&IdedExpr>| match &expr?.expr {
                    Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
                    _ => None,
                };
                let (of, key) = match call.func_name.as_str() {
                    operators::INDEX => (call.args.first(), call.args.get(1)),
                    operators::IN => (call.args.get(1), call.args.first()),
                    _ => (None, None),
                };
                if let Some(of) = of {
                    if let Some(key) = self.keyed(of, || literal(key), expr.id)? {
                        let asks = call.func_name == operators::IN;
                        return if asks { Err(never_missing(expr.id, &key)) } else { Ok(()) };
                    }
                    if let (Some(known), Some(field)) = (self.record(&of.expr), literal(key)) {
                        return self.field(expr.id, known, &field);
                    }
                }
            }
            Expr::Comprehension(loops) => {
                self.look_at(&loops.iter_range)?;
                self.look_at(&loops.accu_init)?;
                let before = self.bound.len();
                self.bound.push(loops.iter_var.clone());
                self.bound.extend(loops.iter_var2.clone());
                self.bound.push(loops.accu_var.clone());
                for part in [&loops.loop_cond, &loops.loop_step, &loops.result] {
                    self.look_at(part)?;
                }
                self.bound.truncate(before);
                return Ok(());
            }
            Expr::Unspecified | Expr::Literal(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {}
        }
        parts(&expr.expr).into_iter().try_for_each(|part| self.look_at(part))
    }

    fn is_bound(&self, name: &str) -> bool {
        name.starts_with('@') || self.bound.iter().any(|bound| bound == name)
    }

    fn variable(&mut self, id: u64, name: &str) -> Result<(), Wrong> {
        if self.is_bound(name) || self.env.types().find_type(name).is_some() {
            return Ok(());
        }
        let Some((_, fields)) = self.scope.variables.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = self.scope.variables.iter().map(|(name, _)| *name).collect();
            return Err((id, format!("there is no `{name}` here; there are {}", known.join(", "))));
        };
        if !fields.is_empty() {
            return Err((id, format!("`{name}` is asked for by field: {name}.{}", fields.join(&format!(", {name}.")))));
        }
        self.uses.names.insert(name.to_owned());
        Ok(())
    }

    /// A variable with fields.
    fn record(&self, expr: &Expr) -> Option<(&'static str, &'static [&'static str])> {
        let Expr::Ident(name) = expr else { return None };
        let known = self.scope.variables.iter().find(|(known, fields)| known == name && !fields.is_empty())?;
        (!self.is_bound(name)).then_some(*known)
    }

    fn field(&mut self, id: u64, of: (&str, &[&str]), field: &str) -> Result<(), Wrong> {
        let (name, fields) = of;
        if !fields.contains(&field) {
            return Err((id, format!("`{name}` has no `{field}`; it has {}", fields.join(", "))));
        }
        if KEYED.contains(&field) {
            return Err((id, format!("{field} are asked for by key: {name}.{field}['example.org/tier']")));
        }
        self.uses.names.insert(format!("{name}.{field}"));
        Ok(())
    }

    /// A key of the labels or annotations.
    fn keyed(&mut self, of: &IdedExpr, key: impl FnOnce() -> Option<String>, id: u64) -> Result<Option<String>, Wrong> {
        let Expr::Select(select) = &of.expr else { return Ok(None) };
        let Some((variable, _)) = self.record(&select.operand.expr).filter(|_| KEYED.contains(&&*select.field)) else {
            return Ok(None);
        };
        let Some(key) = key() else {
            return Err((id, "the key must be written out: the host is asked for it beforehand".to_owned()));
        };
        let keys = if variable == "cluster" { &mut self.uses.labels } else { &mut self.uses.annotations };
        keys.insert(key.clone());
        self.uses.names.insert(format!("{variable}.{}", select.field));
        Ok(Some(key))
    }
}

/// The functions that expressions may call: those of CEL and its strings extension.
pub(crate) fn environment() -> Result<Arc<Env>, ConfigError> {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings).map_err(|error| ConfigError::new("", error.to_string()))?;
    Ok(Arc::new(env))
}
