//! A codec by its number: 0 gzip, 1 deflate (zlib), 2 brotli, 3 zstd. `src/codec/native.ts` has the same table.

use crate::brotli_codec;
use crate::deflate::{self, Wrapper};
use crate::region::Region;
use crate::status::{Failure, Written};
use crate::zstd_codec::{self, Prepared};

pub fn compress(codec: u32, level: i32, from: Region, to: Region, with: Option<&Prepared>) -> Written {
    if from.overlaps(to) {
        return Err(Failure::Range);
    }
    match codec {
        0 => deflate::compress(Wrapper::Gzip, level, from, to),
        1 => deflate::compress(Wrapper::Zlib, level, from, to),
        2 => brotli_codec::compress(level, from, to),
        3 => zstd_codec::compress(level, from, to, with),
        _ => Err(Failure::Codec),
    }
}

pub fn decompress(codec: u32, from: Region, to: Region, with: Option<&Prepared>) -> Written {
    if from.overlaps(to) {
        return Err(Failure::Range);
    }
    match codec {
        0 => deflate::decompress(Wrapper::Gzip, from, to),
        1 => deflate::decompress(Wrapper::Zlib, from, to),
        2 => brotli_codec::decompress(from, to),
        3 => zstd_codec::decompress(from, to, with),
        _ => Err(Failure::Codec),
    }
}
