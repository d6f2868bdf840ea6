//! A bound on the memory of one call. Fuel bounds most of what a template can allocate, but not all of it: joining
//! lists is lazy and free until the engine flattens them. Here an allocation beyond the bound is refused, and a refused
//! allocation is a panic that `bounded` in lib.rs turns into an error.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Once;

const UNBOUNDED: usize = usize::MAX;
/// What unwinding after a refusal may still allocate.
const GRACE_BYTES: usize = 16 << 20;

thread_local! {
    static LEFT_BYTES: Cell<usize> = const { Cell::new(UNBOUNDED) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

fn take(n_bytes: usize) -> bool {
    let left = LEFT_BYTES.get();
    if left == UNBOUNDED {
        return true;
    }
    if n_bytes > left {
        REFUSED.set(true);
        LEFT_BYTES.set(GRACE_BYTES);
        return false;
    }
    LEFT_BYTES.set(left - n_bytes);
    true
}

fn give(n_bytes: usize) {
    let left = LEFT_BYTES.get();
    if left != UNBOUNDED {
        LEFT_BYTES.set(left.saturating_add(n_bytes).min(UNBOUNDED - 1));
    }
}

// SAFETY: every request is passed to the system's allocator unchanged, or refused with null.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give(layout.size());
        System.dealloc(pointer, layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !take(new_size.saturating_sub(layout.size())) {
            return std::ptr::null_mut();
        }
        give(layout.size().saturating_sub(new_size));
        System.realloc(pointer, layout, new_size)
    }
}

/// Runs `work` with at most `max_bytes` more memory on this thread. Also says whether an allocation was refused.
pub fn bounded<T>(max_bytes: usize, work: impl FnOnce() -> T) -> (T, bool) {
    static HOOKS: Once = Once::new();
    HOOKS.call_once(|| {
        std::alloc::set_alloc_error_hook(|layout| panic!("{} bytes refused", layout.size()));
        // The message goes to the caller; a library does not print.
        std::panic::set_hook(Box::new(|_| {}));
    });
    REFUSED.set(false);
    LEFT_BYTES.set(max_bytes);
    let result = work();
    LEFT_BYTES.set(UNBOUNDED);
    (result, REFUSED.get())
}
