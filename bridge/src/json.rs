//! `tojson` as transformers defines it: Python's json.dumps with ensure_ascii=False and without the escapes for HTML that
//! jinja2 and minijinja add.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Fuel for each byte written: building JSON is slower than copying text.
const BYTES_PER_FUEL: usize = 4;
/// Deeper values end in an error instead of the end of the stack.
const MAX_DEPTH: usize = 128;

struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
pub fn to_json(state: &State, value: Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent = match kwargs.get::<Option<Value>>("indent")? {
        Some(value) if !value.is_none() => Some(match value.as_str() {
            Some(text) => text.to_string(),
            None => " ".repeat(usize::try_from(value)?.min(64)),
        }),
        _ => None,
    };
    let (mut item_separator, mut key_separator) = (", ".to_string(), ": ".to_string());
    if indent.is_some() {
        item_separator = ",".to_string();
    }
    if let Some(separators) = kwargs
        .get::<Option<Value>>("separators")?
        .filter(|s| !s.is_none())
    {
        item_separator = separators.get_item_by_index(0)?.to_string();
        key_separator = separators.get_item_by_index(1)?.to_string();
    }
    let style = Style {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item_separator,
        key_separator,
    };
    kwargs.assert_all_used()?;
    let mut out = String::new();
    write(&mut out, &value, state, &style, 0)?;
    Ok(out)
}

fn write(
    out: &mut String,
    value: &Value,
    state: &State,
    style: &Style,
    depth: usize,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(bad("tojson: the value is nested too deeply"));
    }
    let n_before = out.len();
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => string(out, value.as_str().unwrap_or_default(), style),
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if style.sort_keys {
                keys.sort();
            }
            container(out, ['{', '}'], keys, style, depth, |out, key| {
                match key.kind() {
                    ValueKind::String => string(out, key.as_str().unwrap_or_default(), style),
                    ValueKind::Number => out.push_str(&format!("\"{}\"", number(key))),
                    ValueKind::Bool => out.push_str(if key.is_true() {
                        "\"true\""
                    } else {
                        "\"false\""
                    }),
                    ValueKind::None => out.push_str("\"null\""),
                    kind => return Err(bad(format!("tojson: keys must be strings, not {kind}"))),
                }
                out.push_str(&style.key_separator);
                write(out, &value.get_item(key)?, state, style, depth + 1)
            })?;
        }
        ValueKind::Seq => {
            container(
                out,
                ['[', ']'],
                value.try_iter()?,
                style,
                depth,
                |out, item| write(out, item, state, style, depth + 1),
            )?;
        }
        kind => {
            return Err(bad(format!(
                "tojson: a value of type {kind} is not JSON serializable"
            )))
        }
    }
    // Containers have paid for what is inside; each value pays at least one.
    let n_own = if matches!(value.kind(), ValueKind::Map | ValueKind::Seq) {
        0
    } else {
        out.len() - n_before
    };
    state.consume_fuel((n_own / BYTES_PER_FUEL + 1) as u64)
}

fn container(
    out: &mut String,
    brackets: [char; 2],
    items: impl IntoIterator<Item = Value>,
    style: &Style,
    depth: usize,
    mut write_item: impl FnMut(&mut String, &Value) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(brackets[0]);
    let line_break = |out: &mut String, depth: usize| {
        if let Some(indent) = &style.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    };
    let mut empty = true;
    for item in items {
        if !empty {
            out.push_str(&style.item_separator);
        }
        empty = false;
        line_break(out, depth + 1);
        write_item(out, &item)?;
    }
    if !empty {
        line_break(out, depth);
    }
    out.push(brackets[1]);
    Ok(())
}

/// An integer, or a float as Python's repr writes it.
pub fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(x) = f64::try_from(value.clone()) else {
        return value.to_string();
    };
    if x.is_nan() {
        return "NaN".to_string();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let magnitude = x.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{x:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = x.to_string();
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

fn string(out: &mut String, text: &str, style: &Style) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if style.ensure_ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
