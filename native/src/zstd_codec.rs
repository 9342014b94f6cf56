//! zstd (RFC 8878), with prepared dictionaries. One compression and one decompression context per thread.

use std::cell::RefCell;
use std::ffi::{c_uint, c_void};

use zstd_sys as sys;

use crate::region::Region;
use crate::status::{Failure, Written};

pub const LEVELS: std::ops::RangeInclusive<i32> = 1..=22;

/// A context that grew beyond this (a large input, or a level above 15) is freed after its call instead of kept.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

struct Compressor(*mut sys::ZSTD_CCtx);

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: made by ZSTD_createCCtx, freed once.
        unsafe { sys::ZSTD_freeCCtx(self.0) };
    }
}

struct Decompressor(*mut sys::ZSTD_DCtx);

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: made by ZSTD_createDCtx, freed once.
        unsafe { sys::ZSTD_freeDCtx(self.0) };
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

/// A dictionary digested for one thing: compressing at a level, or decompressing. Only read after its making, freed with its
/// handle in JavaScript. Bytes that no trainer made are taken as plain text that both sides know; only a trained one has a
/// number, by which its frames refuse another.
pub enum Prepared {
    Compressing(*mut sys::ZSTD_CDict),
    Decompressing(*mut sys::ZSTD_DDict),
}

impl Prepared {
    pub fn compressing(bytes: Region, level: i32) -> Result<Self, Failure> {
        if !LEVELS.contains(&level) {
            return Err(Failure::Level);
        }
        // SAFETY: the region belongs to this call; the digest copies what it keeps.
        let digest = unsafe { sys::ZSTD_createCDict(bytes.address() as *const c_void, bytes.len(), level) };
        // Null where the tables of a trained one are damaged.
        if digest.is_null() {
            Err(Failure::Dictionary)
        } else {
            Ok(Self::Compressing(digest))
        }
    }

    pub fn decompressing(bytes: Region) -> Result<Self, Failure> {
        // SAFETY: as above.
        let digest = unsafe { sys::ZSTD_createDDict(bytes.address() as *const c_void, bytes.len()) };
        if digest.is_null() {
            Err(Failure::Dictionary)
        } else {
            Ok(Self::Decompressing(digest))
        }
    }

    pub fn size(&self) -> usize {
        // SAFETY: lives as long as self.
        unsafe {
            match self {
                Self::Compressing(digest) => sys::ZSTD_sizeof_CDict(*digest),
                Self::Decompressing(digest) => sys::ZSTD_sizeof_DDict(*digest),
            }
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: made once, freed once.
        unsafe {
            match self {
                Self::Compressing(digest) => sys::ZSTD_freeCDict(*digest),
                Self::Decompressing(digest) => sys::ZSTD_freeDDict(*digest),
            }
        };
    }
}

/// With a dictionary its level counts, not `level`.
pub fn compress(level: i32, input: Region, output: Region, with: Option<&Prepared>) -> Written {
    if !LEVELS.contains(&level) {
        return Err(Failure::Level);
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            // SAFETY: takes nothing.
            let context = unsafe { sys::ZSTD_createCCtx() };
            if context.is_null() {
                return Err(Failure::Memory);
            }
            *kept = Some(Compressor(context));
        }
        let context = kept.as_ref().ok_or(Failure::Memory)?.0;
        let (to, room) = (output.address() as *mut c_void, output.len());
        let (from, length) = (input.address() as *const c_void, input.len());
        // SAFETY: both regions belong to this call; the dictionary's handle is an argument of it.
        let (result, size) = unsafe {
            let result = match with {
                Some(Prepared::Compressing(one)) => {
                    sys::ZSTD_compress_usingCDict(context, to, room, from, length, *one)
                }
                Some(Prepared::Decompressing(_)) => return Err(Failure::Dictionary),
                None => sys::ZSTD_compressCCtx(context, to, room, from, length, level),
            };
            (result, sys::ZSTD_sizeof_CCtx(context))
        };
        if size > KEPT_BYTES_MAX {
            *kept = None;
        }
        answer(result)
    })
}

/// Takes a row of frames, skippable ones included. The output is the window: a frame's own claims allocate nothing.
pub fn decompress(input: Region, output: Region, with: Option<&Prepared>) -> Written {
    if input.len() == 0 {
        return Err(Failure::Corrupt);
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            // SAFETY: takes nothing.
            let context = unsafe { sys::ZSTD_createDCtx() };
            if context.is_null() {
                return Err(Failure::Memory);
            }
            *kept = Some(Decompressor(context));
        }
        let context = kept.as_ref().ok_or(Failure::Memory)?.0;
        let (to, room) = (output.address() as *mut c_void, output.len());
        let (from, length) = (input.address() as *const c_void, input.len());
        // SAFETY: both regions belong to this call; the dictionary's handle is an argument of it.
        let result = unsafe {
            match with {
                Some(Prepared::Decompressing(one)) => {
                    sys::ZSTD_decompress_usingDDict(context, to, room, from, length, *one)
                }
                Some(Prepared::Compressing(_)) => return Err(Failure::Dictionary),
                None => sys::ZSTD_decompressDCtx(context, to, room, from, length),
            }
        };
        answer(result)
    })
}

/// Trains a dictionary with the number `number` on samples that lie behind one another. One thread and fixed steps: the same
/// samples give the same bytes.
pub fn train(samples: Region, sizes: &[usize], output: Region, level: i32, number: u32) -> Written {
    if !LEVELS.contains(&level) {
        return Err(Failure::Level);
    }
    let mut total = 0usize;
    for size in sizes {
        total = total.checked_add(*size).ok_or(Failure::Range)?;
    }
    if total != samples.len() || number == 0 {
        return Err(Failure::Range);
    }
    let mut parameters = sys::ZDICT_fastCover_params_t {
        k: 0,
        d: 8,
        f: 20,
        steps: 40,
        nbThreads: 1,
        splitPoint: 0.75,
        accel: 1,
        shrinkDict: 0,
        shrinkDictMaxRegression: 0,
        zParams: sys::ZDICT_params_t { compressionLevel: level, notificationLevel: 0, dictID: number },
    };
    // SAFETY: the regions belong to this call; the sizes add up to the samples' length.
    let result = unsafe {
        sys::ZDICT_optimizeTrainFromBuffer_fastCover(
            output.address() as *mut c_void,
            output.len(),
            samples.address() as *const c_void,
            sizes.as_ptr(),
            sizes.len() as c_uint,
            &mut parameters,
        )
    };
    // SAFETY: takes a number.
    if unsafe { sys::ZDICT_isError(result) } != 0 {
        Err(Failure::Corrupt)
    } else {
        Ok(result)
    }
}

fn answer(result: usize) -> Written {
    // SAFETY: both take a number.
    let code = unsafe {
        if sys::ZSTD_isError(result) == 0 {
            return Ok(result);
        }
        sys::ZSTD_getErrorCode(result)
    };
    Err(match code {
        sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall => Failure::Full,
        sys::ZSTD_ErrorCode::ZSTD_error_dictionary_wrong => Failure::Dictionary,
        sys::ZSTD_ErrorCode::ZSTD_error_memory_allocation => Failure::Memory,
        _ => Failure::Corrupt,
    })
}
