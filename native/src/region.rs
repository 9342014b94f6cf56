//! Memory of the caller, as an address and a length.
//!
//! Why no `&[u8]`: the memory may be shared with other threads, and a Rust reference promises that nobody else writes it. The
//! contract is the caller's: while a call runs, the bytes of its input and its output belong to that call. libdeflate and
//! zstd get the address alone. brotli, which is Rust, gets a slice for as long as its call lasts. Nothing is copied.

use crate::status::Failure;

#[derive(Clone, Copy)]
pub struct Region {
    start: *mut u8,
    length: usize,
}

impl Region {
    /// # Safety
    /// `start` points to at least `length` bytes that stay where they are until the call returns.
    pub unsafe fn new(start: *mut u8, length: usize) -> Self {
        // V8 gives no address for an empty array; C code may still want one.
        let start = if start.is_null() { std::ptr::NonNull::dangling().as_ptr() } else { start };
        Self { start, length }
    }

    /// The bytes from `from` up to `to`.
    pub fn part(self, from: u32, to: u32) -> Result<Self, Failure> {
        let (from, to) = (from as usize, to as usize);
        if from > to || to > self.length || to - from > i32::MAX as usize {
            return Err(Failure::Range);
        }
        // SAFETY: `from` is at most the length, so the address stays inside or just behind the memory.
        Ok(Self { start: unsafe { self.start.add(from) }, length: to - from })
    }

    pub fn overlaps(self, other: Self) -> bool {
        let (a, b) = (self.start as usize, other.start as usize);
        a < b + other.length && b < a + self.length
    }

    pub fn address(self) -> *mut u8 {
        self.start
    }

    pub fn len(self) -> usize {
        self.length
    }

    /// # Safety
    /// Nobody writes these bytes while the slice lives.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        std::slice::from_raw_parts(self.start, self.length)
    }

    /// # Safety
    /// Nobody else reads or writes these bytes while the slice lives.
    pub unsafe fn bytes_mut<'a>(self) -> &'a mut [u8] {
        std::slice::from_raw_parts_mut(self.start, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(bytes: &mut [u8]) -> Region {
        unsafe { Region::new(bytes.as_mut_ptr(), bytes.len()) }
    }

    #[test]
    fn a_part_stays_inside() {
        let mut bytes = [0u8; 8];
        let region = over(&mut bytes);
        assert_eq!(region.part(0, 8).ok().map(Region::len), Some(8));
        assert_eq!(region.part(8, 8).ok().map(Region::len), Some(0));
        for (from, to) in [(0, 9), (9, 9), (5, 4), (u32::MAX, u32::MAX), (0, u32::MAX)] {
            assert_eq!(region.part(from, to).err(), Some(Failure::Range), "{from} {to}");
        }
    }

    #[test]
    fn neighbours_do_not_overlap_and_empty_parts_overlap_nothing() {
        let mut bytes = [0u8; 8];
        let region = over(&mut bytes);
        let part = |from, to| region.part(from, to).ok().expect("inside");
        assert!(!part(0, 4).overlaps(part(4, 8)));
        assert!(part(0, 5).overlaps(part(4, 8)));
        assert!(part(2, 3).overlaps(part(0, 8)));
        assert!(!part(0, 0).overlaps(part(0, 8)));
    }

    #[test]
    fn an_array_without_an_address_is_empty() {
        let region = unsafe { Region::new(std::ptr::null_mut(), 0) };
        assert_eq!(unsafe { region.bytes() }, &[] as &[u8]);
    }
}
