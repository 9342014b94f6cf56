//! The codecs of millrace on the caller's own memory. What runs between two calls: nothing. What is kept between them: contexts
//! of the thread (deflate.rs, zstd_codec.rs), which go with the thread. The border to JavaScript is border.rs.

#![cfg_attr(test, allow(dead_code))]

mod brotli_codec;
mod deflate;
mod region;
mod run;
mod status;
mod zstd_codec;

// The tests of this crate run without Node, whose functions border.rs calls.
#[cfg(not(test))]
mod border;
#[cfg(test)]
mod tests;
