//! Where minijinja differs from jinja2 in what chat templates use: tests of kinds, methods, HTML escapes, floats as text.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Output, State, Value};

use minijinja_contrib::pycompat::unknown_method_callback;

use crate::json;

pub fn install(environment: &mut Environment<'static>) {
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.set_formatter(format);
    environment.set_unknown_method_callback(call_method);
}

/// Methods of Python's types.
fn call_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) if method == "title" && args.is_empty() => Ok(Value::from(title(text))),
        _ => unknown_method_callback(state, value, method, args),
    }
}

/// Python's str.title: a letter is upper case unless it follows a letter.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_letter = false;
    for c in text.chars() {
        if after_letter {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        after_letter = c.is_alphabetic();
    }
    out
}

/// jinja2: iter(value) works. None does not iterate; undefined iterates as empty.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok() || value.kind() == ValueKind::String
}

/// jinja2: len(value) and value[...] work, so texts and mappings are sequences too.
fn is_sequence(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined
    )
}

/// As Python's markupsafe spells the escapes.
fn escape(text: &Value) -> String {
    let text = text.to_string();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.kind() == ValueKind::Number && !value.is_integer() {
        let text = match json::number(value).as_str() {
            "NaN" => "nan".to_string(),
            "Infinity" => "inf".to_string(),
            "-Infinity" => "-inf".to_string(),
            text => text.to_string(),
        };
        return Ok(out.write_str(&text)?);
    }
    minijinja::escape_formatter(out, state, value)
}
