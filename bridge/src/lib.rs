//! The C ABI over Rust libraries that Lamina uses. No panic crosses it: what may panic runs in `bounded`.
//! include/lamina_bridge.h declares the same functions for C++.

#![feature(alloc_error_hook)]

mod json;
mod memory;
mod python;
mod source;
mod template;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;

use template::{ChatTemplate, Failure};

/// Bytes owned by this crate until `lamina_bridge_free_bytes`.
#[repr(C)]
pub struct LaminaBytes {
    data: *mut u8,
    n_bytes: usize,
}

impl From<String> for LaminaBytes {
    fn from(text: String) -> LaminaBytes {
        let bytes = text.into_bytes().into_boxed_slice();
        LaminaBytes {
            n_bytes: bytes.len(),
            data: Box::into_raw(bytes).cast(),
        }
    }
}

/// The text at `data`, which may be anything.
///
/// # Safety
/// `data` points to `n_bytes` readable bytes that outlive the result.
unsafe fn text<'a>(data: *const u8, n_bytes: usize) -> Result<&'a str, Failure> {
    std::str::from_utf8(slice::from_raw_parts(data, n_bytes))
        .map_err(|error| Failure::invalid(format!("the text is not UTF-8: {error}")))
}

/// What one call may allocate, besides a multiple of what it was given.
const BASE_BYTES: usize = 24 << 20;
const BYTES_PER_INPUT_BYTE: usize = 32;

/// Runs `work` on an input of `n_bytes` with bounded memory; a panic becomes a failure.
fn bounded<T>(n_bytes: usize, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let max_bytes = BASE_BYTES.saturating_add(n_bytes.saturating_mul(BYTES_PER_INPUT_BYTE));
    let (outcome, refused) = memory::bounded(max_bytes, || catch_unwind(AssertUnwindSafe(work)));
    match outcome {
        _ if refused => Err(Failure::exhausted()),
        Ok(outcome) => outcome,
        Err(panic) => Err(Failure::panicked(panic)),
    }
}

fn compile(source: &str) -> Result<ChatTemplate, Failure> {
    bounded(source.len(), || ChatTemplate::compile(source))
}

/// Writes the text of `outcome`, or its message, to `out`; returns 0 or the failure's code.
///
/// # Safety
/// `out` is valid for writing.
unsafe fn report(out: *mut LaminaBytes, outcome: Result<String, Failure>) -> i32 {
    let (code, text) = match outcome {
        Ok(text) => (0, text),
        Err(failure) => (failure.code, failure.message),
    };
    out.write(text.into());
    code
}

/// Compiles a template. On success `*compiled` owns it and the result is 0; else it is null, and `message` says why.
///
/// # Safety
/// `source` points to `n_bytes` bytes; `compiled` and `message` are valid for writing.
#[no_mangle]
pub unsafe extern "C" fn lamina_template_compile(
    source: *const u8,
    n_bytes: usize,
    compiled: *mut *mut ChatTemplate,
    message: *mut LaminaBytes,
) -> i32 {
    compiled.write(std::ptr::null_mut());
    let outcome = text(source, n_bytes).and_then(compile).map(|template| {
        compiled.write(Box::into_raw(Box::new(template)));
        String::new()
    });
    report(message, outcome)
}

/// Renders with the variables of a JSON object. Returns 0 and the text, or a code and a message.
///
/// # Safety
/// `template` came from `lamina_template_compile`; `variables` points to `n_bytes` bytes; `out` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn lamina_template_render(
    template: *const ChatTemplate,
    variables: *const u8,
    n_bytes: usize,
    out: *mut LaminaBytes,
) -> i32 {
    let outcome = text(variables, n_bytes)
        .and_then(|variables| bounded(n_bytes, || (*template).render(variables)));
    report(out, outcome)
}

/// Frees a template; null is allowed.
///
/// # Safety
/// `template` came from `lamina_template_compile` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn lamina_template_free(template: *mut ChatTemplate) {
    if !template.is_null() {
        // A destructor that panics leaves nothing to report to.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(template))));
    }
}

/// Frees what another function wrote.
///
/// # Safety
/// `bytes` came from this crate and is not used again.
#[no_mangle]
pub unsafe extern "C" fn lamina_bridge_free_bytes(bytes: LaminaBytes) {
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
        bytes.data,
        bytes.n_bytes,
    )));
}
