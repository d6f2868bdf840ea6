//! Chat templates as the Python package transformers sets jinja2 up: trim_blocks, lstrip_blocks, loop controls, Python's
//! methods, `tojson`, `strftime_now`, `raise_exception`; with bounds that jinja2 lacks.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use std::any::Any;
use std::ffi::CString;

use crate::{json, python, source};

/// One fuel pays an instruction or 64 bytes of data, so this bounds time and most of the memory (20 MB).
const BASE_FUEL: u64 = 300_000;
/// A long conversation may cost more: this much for each byte of its variables.
const FUEL_PER_BYTE: u64 = 4;
/// Calls of macros inside each other; templates in use need two or three.
const MAX_DEPTH: usize = 64;
const NAME: &str = "chat_template";

/// The codes are those of src/base/status.h.
pub struct Failure {
    pub code: i32,
    pub message: String,
}

impl Failure {
    pub fn invalid(message: String) -> Failure {
        Failure { code: 3, message }
    }

    pub fn exhausted() -> Failure {
        Failure {
            code: 8,
            message: "the chat template needs too much time or memory".to_string(),
        }
    }

    pub fn panicked(panic: Box<dyn Any + Send>) -> Failure {
        let detail = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Failure {
            code: 13,
            message: format!("the template engine failed: {detail}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exhausted =
            std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
                .filter_map(|e| e.downcast_ref::<Error>())
                .any(|e| e.kind() == ErrorKind::OutOfFuel);
        if exhausted {
            return Failure::exhausted();
        }
        // The innermost error is what the template itself said, e.g. through raise_exception.
        let mut cause = &error;
        while let Some(inner) = std::error::Error::source(cause).and_then(|e| e.downcast_ref()) {
            cause = inner;
        }
        let detail = cause
            .detail()
            .map_or(cause.kind().to_string(), str::to_string);
        Failure::invalid(match error.line() {
            Some(line) => format!("chat template, line {line}: {detail}"),
            None => format!("chat template: {detail}"),
        })
    }
}

pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    pub fn compile(source: &str) -> Result<ChatTemplate, Failure> {
        let source = source::prepare(source)
            .map_err(|message| Failure::invalid(format!("chat template: {message}")))?;
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_recursion_limit(MAX_DEPTH);
        python::install(&mut environment);
        environment.add_filter("tojson", json::to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_function("cycler", minijinja_contrib::globals::cycler);
        environment.add_function("joiner", minijinja_contrib::globals::joiner);
        environment.add_template_owned(NAME, source)?;
        Ok(ChatTemplate { environment })
    }

    pub fn render(&self, variables: &str) -> Result<String, Failure> {
        let context: serde_json::Value = serde_json::from_str(variables)
            .map_err(|error| Failure::invalid(format!("template variables: {error}")))?;
        let context = Value::from(Serde(&context));
        let fuel = BASE_FUEL + FUEL_PER_BYTE * variables.len() as u64;
        // Fuel belongs to an environment; a clone is cheap, its templates are shared.
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let template = environment.get_template(NAME)?;
        Ok(template.render(context)?)
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Python's `datetime.now().strftime(format)`.
fn strftime_now(format: String) -> Result<String, Error> {
    let bad = || Error::new(ErrorKind::InvalidOperation, "strftime_now: bad format");
    let format = CString::new(format).map_err(|_| bad())?;
    let mut buffer = [0u8; 512];
    // SAFETY: every pointer is to a local of the right type, and the buffer's size is passed.
    let n_bytes = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut local: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&now, &mut local).is_null() {
            return Err(bad());
        }
        libc::strftime(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            format.as_ptr(),
            &local,
        )
    };
    if n_bytes == 0 && !format.is_empty() {
        return Err(bad());
    }
    String::from_utf8(buffer[..n_bytes].to_vec()).map_err(|_| bad())
}
