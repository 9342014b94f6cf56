//! The border to JavaScript. Every function is synchronous and may run in any number of threads at once: what is kept between
//! calls (compression contexts) belongs to the thread and goes with it; nothing is shared between threads.
//!
//! Input and output are ranges of the caller's arrays, also over shared memory; see region.rs for who owns them meanwhile.

use std::ptr;

use napi::bindgen_prelude::{External, FromNapiValue, TypeName, ValidateNapiValue};
use napi::{sys, Error, Result, Status, ValueType};
use napi_derive::napi;

use crate::deflate;
use crate::region::Region;
use crate::run::{compress, decompress};
use crate::status::{as_number, Failure, Written};
use crate::zstd_codec::{self, Prepared};

/// A Uint8Array or Uint32Array of the caller, by address.
pub struct Array {
    region: Region,
    element: i32,
}

impl TypeName for Array {
    fn type_name() -> &'static str {
        "Uint8Array"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for Array {}

impl FromNapiValue for Array {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut element, mut length, mut data) = (0, 0, ptr::null_mut());
        let status = sys::napi_get_typedarray_info(
            env,
            value,
            &mut element,
            &mut length,
            &mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        );
        let bytes = match element {
            sys::TypedarrayType::uint8_array => length,
            sys::TypedarrayType::uint32_array => length * 4,
            _ => return Err(wrong_array()),
        };
        if status != sys::Status::napi_ok {
            return Err(wrong_array());
        }
        Ok(Self { region: Region::new(data as *mut u8, bytes), element })
    }
}

fn wrong_array() -> Error {
    Error::new(Status::InvalidArg, "expected a Uint8Array, or a Uint32Array for a table")
}

impl Array {
    fn bytes(&self, from: u32, to: u32) -> std::result::Result<Region, Failure> {
        if self.element != sys::TypedarrayType::uint8_array {
            return Err(Failure::Range);
        }
        self.region.part(from, to)
    }

    fn all(&self) -> std::result::Result<Region, Failure> {
        self.bytes(0, u32::try_from(self.region.len()).map_err(|_| Failure::Range)?)
    }

    /// The words of a table; only its thread touches them.
    fn words(&mut self) -> Result<&mut [u32]> {
        if self.element != sys::TypedarrayType::uint32_array {
            return Err(wrong_array());
        }
        let (start, length) = (self.region.address() as *mut u32, self.region.len() / 4);
        // SAFETY: V8 aligns a Uint32Array; the caller's table is not shared.
        Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
    }
}

type Dictionary = External<Prepared>;

/// Compresses `input[from, to)` into `output[start, end)`. Answers the bytes written, or a failure's number.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn compress_into(
    codec: u32,
    level: i32,
    input: Array,
    from: u32,
    to: u32,
    output: Array,
    start: u32,
    end: u32,
    dictionary: Option<&Dictionary>,
) -> i32 {
    let with = dictionary.map(|one| &**one);
    as_number(
        input
            .bytes(from, to)
            .and_then(|read| output.bytes(start, end).map(|write| (read, write)))
            .and_then(|(read, write)| compress(codec, level, read, write, with)),
    )
}

/// The way back. What does not fit into `output[start, end)` is refused: that range is the cap.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)]
pub fn decompress_into(
    codec: u32,
    input: Array,
    from: u32,
    to: u32,
    output: Array,
    start: u32,
    end: u32,
    dictionary: Option<&Dictionary>,
) -> i32 {
    let with = dictionary.map(|one| &**one);
    as_number(
        input
            .bytes(from, to)
            .and_then(|read| output.bytes(start, end).map(|write| (read, write)))
            .and_then(|(read, write)| decompress(codec, read, write, with)),
    )
}

/// Words of a table's row: from, to, start, end, and the answer.
const ROW: usize = 5;

fn each_row(mut table: Array, mut run: impl FnMut(&[u32]) -> Written) -> Result<u32> {
    let mut good = 0;
    for row in table.words()?.chunks_exact_mut(ROW) {
        let written = run(row);
        good += u32::from(written.is_ok());
        row[ROW - 1] = as_number(written) as u32;
    }
    Ok(good)
}

/// As compressInto, once per row [from, to, start, end, answer] of `table`; the answer (as a signed number) is written into
/// the row. Gives the number of rows that succeeded. A row that fails stops no other.
#[napi(catch_unwind)]
pub fn compress_batch(
    codec: u32,
    level: i32,
    input: Array,
    output: Array,
    table: Array,
    dictionary: Option<&Dictionary>,
) -> Result<u32> {
    let with = dictionary.map(|one| &**one);
    each_row(table, |row| compress(codec, level, input.bytes(row[0], row[1])?, output.bytes(row[2], row[3])?, with))
}

/// As decompressInto, once per row of `table`.
#[napi(catch_unwind)]
pub fn decompress_batch(
    codec: u32,
    input: Array,
    output: Array,
    table: Array,
    dictionary: Option<&Dictionary>,
) -> Result<u32> {
    let with = dictionary.map(|one| &**one);
    each_row(table, |row| decompress(codec, input.bytes(row[0], row[1])?, output.bytes(row[2], row[3])?, with))
}

/// Digests a dictionary: for compressing at a level, or with level 0 for decompressing. The handle frees it when it is collected;
/// its size counts for the collector.
#[napi(catch_unwind)]
pub fn prepare_dictionary(bytes: Array, level: i32) -> Result<Dictionary> {
    let prepared = bytes
        .all()
        .and_then(|all| if level == 0 { Prepared::decompressing(all) } else { Prepared::compressing(all, level) })
        .map_err(|failure| Error::new(Status::InvalidArg, format!("no dictionary: {failure:?}")))?;
    let size = prepared.size();
    Ok(External::new_with_size_hint(prepared, size))
}

/// Trains a dictionary on samples that lie behind one another; `sizes` holds their lengths. Answers as compressInto does.
#[napi(catch_unwind)]
pub fn train_dictionary(samples: Array, mut sizes: Array, output: Array, level: i32, number: u32) -> Result<i32> {
    let lengths: Vec<usize> = sizes.words()?.iter().map(|size| *size as usize).collect();
    Ok(as_number(samples.all().and_then(|all| zstd_codec::train(all, &lengths, output.all()?, level, number))))
}

/// Frees what this thread keeps between calls. The thread's end does it too.
#[napi(catch_unwind)]
pub fn release_contexts() {
    deflate::release();
    zstd_codec::release();
}

/// Which functions with which arguments and numbers this is: `src/codec/native.ts` refuses another.
#[napi(catch_unwind)]
pub fn contract() -> u32 {
    1
}

/// The versions of the libraries inside.
#[napi(catch_unwind)]
pub fn versions() -> String {
    // SAFETY: takes nothing.
    let zstd = unsafe { zstd_sys::ZSTD_versionNumber() };
    let (major, minor, patch) = (zstd / 10_000, zstd / 100 % 100, zstd % 100);
    format!("libdeflate 1.26, brotli 9.1.1, zstd {major}.{minor}.{patch}")
}

/// Panics, for the test that shows what becomes of one.
#[napi(catch_unwind)]
pub fn panic_for_test() {
    panic!("asked for by a test");
}
