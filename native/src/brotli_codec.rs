//! brotli (RFC 7932). Encoder and decoder live for one call: this library cannot reset them.

use alloc_stdlib::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use crate::region::Region;
use crate::status::{Failure, Written};

pub const LEVELS: std::ops::RangeInclusive<i32> = 0..=11;

/// The smallest window that spans the input: a wider one only costs memory. RFC 7932 has 10 to 24, 22 is the usual bound.
fn window_bits(length: usize) -> u32 {
    (usize::BITS - (length + 16).leading_zeros()).clamp(10, 22)
}

pub fn compress(level: i32, input: Region, output: Region) -> Written {
    if !LEVELS.contains(&level) {
        return Err(Failure::Level);
    }
    // SAFETY: both regions belong to this call and do not overlap.
    let (from, into) = unsafe { (input.bytes(), output.bytes_mut()) };
    let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
    encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, level as u32);
    encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window_bits(from.len()));
    encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, from.len() as u32);
    let (mut left, mut room, mut read, mut written) = (from.len(), into.len(), 0, 0);
    let good = encoder.compress_stream(
        BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        &mut left,
        from,
        &mut read,
        &mut room,
        into,
        &mut written,
        &mut None,
        &mut |_, _, _, _| (),
    );
    let finished = good && encoder.is_finished();
    BrotliEncoderDestroyInstance(&mut encoder);
    if finished {
        Ok(written)
    } else {
        Err(Failure::Full)
    }
}

pub fn decompress(input: Region, output: Region) -> Written {
    // SAFETY: both regions belong to this call and do not overlap.
    let (from, into) = unsafe { (input.bytes(), output.bytes_mut()) };
    let mut state = BrotliState::new(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let (mut left, mut room, mut read, mut written, mut total) = (from.len(), into.len(), 0, 0, 0);
    let result =
        BrotliDecompressStream(&mut left, &mut read, from, &mut room, &mut written, into, &mut total, &mut state);
    match result {
        BrotliResult::ResultSuccess if left == 0 => Ok(written),
        BrotliResult::NeedsMoreOutput => Err(Failure::Full),
        _ => Err(Failure::Corrupt),
    }
}
