//! gzip (RFC 1952) and zlib (RFC 1950) with libdeflate. One compressor, of the level used last, and one decompressor per thread.

use std::cell::RefCell;
use std::ffi::c_void;

use libdeflate_sys as sys;

use crate::region::Region;
use crate::status::{Failure, Written};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    Gzip,
    Zlib,
}

struct Compressor {
    level: i32,
    handle: *mut sys::libdeflate_compressor,
}

impl Compressor {
    fn new(level: i32) -> Result<Self, Failure> {
        // SAFETY: any level may be asked for; an unknown one gives null.
        let handle = unsafe { sys::libdeflate_alloc_compressor(level) };
        if handle.is_null() {
            return Err(Failure::Memory);
        }
        Ok(Self { level, handle })
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: made by new, freed once.
        unsafe { sys::libdeflate_free_compressor(self.handle) }
    }
}

struct Decompressor(*mut sys::libdeflate_decompressor);

impl Decompressor {
    fn new() -> Result<Self, Failure> {
        // SAFETY: takes nothing.
        let handle = unsafe { sys::libdeflate_alloc_decompressor() };
        if handle.is_null() {
            return Err(Failure::Memory);
        }
        Ok(Self(handle))
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: made by new, freed once.
        unsafe { sys::libdeflate_free_decompressor(self.0) }
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
}

pub fn release() {
    COMPRESSOR.with_borrow_mut(|kept| *kept = None);
    DECOMPRESSOR.with_borrow_mut(|kept| *kept = None);
}

/// libdeflate's levels above 9 search longer than zlib can and keep megabytes: no client asked for them.
pub const LEVELS: std::ops::RangeInclusive<i32> = 0..=9;

pub fn compress(wrapper: Wrapper, level: i32, input: Region, output: Region) -> Written {
    if !LEVELS.contains(&level) {
        return Err(Failure::Level);
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|one| one.level != level) {
            *kept = Some(Compressor::new(level)?);
        }
        let handle = kept.as_ref().ok_or(Failure::Memory)?.handle;
        let run = match wrapper {
            Wrapper::Gzip => sys::libdeflate_gzip_compress,
            Wrapper::Zlib => sys::libdeflate_zlib_compress,
        };
        // SAFETY: both regions belong to this call.
        let written = unsafe {
            run(handle, input.address() as *const c_void, input.len(), output.address() as *mut c_void, output.len())
        };
        if written == 0 {
            Err(Failure::Full)
        } else {
            Ok(written)
        }
    })
}

/// A gzip file is a row of members (RFC 1952, 2.2), a zlib stream is one. Bytes behind them are refused.
pub fn decompress(wrapper: Wrapper, input: Region, output: Region) -> Written {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(Decompressor::new()?);
        }
        let handle = kept.as_ref().ok_or(Failure::Memory)?.0;
        let (mut read, mut written) = (0, 0);
        loop {
            let (from, into) = member(wrapper, handle, input, read, output, written)?;
            read += from;
            written += into;
            if read == input.len() {
                return Ok(written);
            }
            if wrapper == Wrapper::Zlib {
                return Err(Failure::Corrupt);
            }
        }
    })
}

/// A shorter input is copied behind itself with zeros after it: libdeflate's fast loop stops some 30 bytes before an input's end,
/// and the loop for the rest copies matches byte by byte (10 KiB of one letter: 25 µs instead of 2).
const PADDED_MAX: usize = 256;
const PADDING: usize = 64;

/// One member: how many bytes it took and gave.
fn member(
    wrapper: Wrapper,
    handle: *mut sys::libdeflate_decompressor,
    input: Region,
    read: usize,
    output: Region,
    written: usize,
) -> Result<(usize, usize), Failure> {
    let run = match wrapper {
        Wrapper::Gzip => sys::libdeflate_gzip_decompress_ex,
        Wrapper::Zlib => sys::libdeflate_zlib_decompress_ex,
    };
    let left = input.len() - read;
    let mut padded = [0u8; PADDED_MAX + PADDING];
    let (mut from, mut into) = (0, 0);
    // SAFETY: both regions belong to this call; `read` and `written` are at most their lengths; the copy is as long as `padded`.
    let result = unsafe {
        let mut start = input.address().add(read) as *const u8;
        let mut length = left;
        if left <= PADDED_MAX {
            std::ptr::copy_nonoverlapping(start, padded.as_mut_ptr(), left);
            start = padded.as_ptr();
            length = left + PADDING;
        }
        run(
            handle,
            start as *const c_void,
            length,
            output.address().add(written) as *mut c_void,
            output.len() - written,
            &mut from,
            &mut into,
        )
    };
    match result {
        // Zeros that were read as if they were data.
        sys::libdeflate_result_LIBDEFLATE_SUCCESS if from > left => Err(Failure::Corrupt),
        sys::libdeflate_result_LIBDEFLATE_SUCCESS => Ok((from, into)),
        sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Failure::Full),
        _ => Err(Failure::Corrupt),
    }
}
