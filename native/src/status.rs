//! What a call answers: how many bytes it wrote, or one of these negative numbers. `src/codec/native.ts` has the same table.
//! Numbers, because an exception that crosses the border costs more than a small message's compression.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Failure {
    /// The result does not fit. The output then holds garbage.
    Full = -1,
    /// Truncated, damaged, followed by something else, or not this format.
    Corrupt = -2,
    /// Made with another dictionary, or with one where none was given.
    Dictionary = -3,
    Level = -4,
    /// A range outside its buffer, more than 2 GiB, or input and output overlap.
    Range = -5,
    Memory = -6,
    Codec = -7,
}

/// Bytes written.
pub type Written = Result<usize, Failure>;

pub fn as_number(written: Written) -> i32 {
    match written {
        // `Region` never spans more than i32::MAX bytes, so neither does what was written into one.
        Ok(bytes) => i32::try_from(bytes).unwrap_or(Failure::Range as i32),
        Err(failure) => failure as i32,
    }
}
