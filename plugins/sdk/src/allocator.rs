//! Memory for an instance that lives for one decision.

#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::Cell,
};

/// Size of a page of linear memory.
const PAGE: usize = 64 * 1024;

/// Hands out memory from front to back and takes none back, except for the piece handed out last.
///
/// The host throws the instance away after the decision, so freeing would be work for nothing. Memory that is asked for
/// beyond the end of the linear memory is grown; the host's limit on memory bounds that.
#[derive(Debug)]
pub struct Bump {
    /// Where free memory begins; 0 before the first call.
    next: Cell<usize>,
    /// Where the linear memory ends, as far as this allocator knows.
    end: Cell<usize>,
}

// SAFETY: a component without threads has one thread.
unsafe impl Sync for Bump {}

unsafe extern "C" {
    /// Set by the linker: the first byte after stack and static data.
    static __heap_base: u8;
}

impl Bump {
    /// For `#[global_allocator]`; [`export!`](crate::export) puts it there.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is one per component")]
    pub const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    /// The end of the linear memory once it reaches to `wanted`; `None` when the host gives no more.
    #[cold]
    fn grow_to(&self, wanted: usize) -> Option<usize> {
        let mut end = wasm32::memory_size::<0>() * PAGE;
        if end < wanted {
            let pages = (wanted - end).div_ceil(PAGE);
            if wasm32::memory_grow::<0>(pages) == usize::MAX {
                return None;
            }
            end += pages * PAGE;
        }
        self.end.set(end);
        Some(end)
    }
}

// SAFETY: every piece lies between the end of static data and the end of memory, pieces do not overlap because `next`
// only moves past a piece that was handed out, and it moves back only over the last one.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = match self.next.get() {
            0 => (&raw const __heap_base).addr(),
            next => next,
        };
        // A size is at most isize::MAX and the memory at most 4 GiB less a page, but their sum may not fit.
        let start = next.next_multiple_of(layout.align());
        let Some(stop) = start.checked_add(layout.size()) else {
            return core::ptr::null_mut();
        };
        if stop > self.end.get() && self.grow_to(stop).is_none() {
            return core::ptr::null_mut();
        }
        self.next.set(stop);
        core::ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if piece.addr() + layout.size() == self.next.get() {
            self.next.set(piece.addr());
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if piece.addr() + layout.size() == self.next.get() {
            // The piece handed out last grows and shrinks where it is.
            let Some(stop) = piece.addr().checked_add(size) else {
                return core::ptr::null_mut();
            };
            if stop > self.end.get() && self.grow_to(stop).is_none() {
                return core::ptr::null_mut();
            }
            self.next.set(stop);
            return piece;
        }
        if size <= layout.size() {
            return piece;
        }
        // SAFETY: the caller promises that `size` with this alignment is a layout.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both pieces are at least as long as the old one, and they do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(piece, moved, layout.size()) };
        }
        moved
    }
}
