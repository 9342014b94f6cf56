//! Each codec against itself: room for exactly the result and one byte less, damage at every byte, rows of members, dictionaries.

use crate::region::Region;
use crate::run::{compress, decompress};
use crate::status::{Failure, Written};
use crate::zstd_codec::{train, Prepared};

const GZIP: u32 = 0;
const BROTLI: u32 = 2;
const ZSTD: u32 = 3;
const LEVELS: [i32; 4] = [6, 6, 4, 3];

fn over(bytes: &[u8]) -> Region {
    unsafe { Region::new(bytes.as_ptr() as *mut u8, bytes.len()) }
}

fn packed(codec: u32, input: &[u8], with: Option<&Prepared>) -> Vec<u8> {
    let mut output = vec![0u8; input.len() * 2 + 1024];
    let level = LEVELS[codec as usize];
    let written = compress(codec, level, over(input), over(&output), with).expect("room enough");
    output.truncate(written);
    output
}

fn unpack(codec: u32, input: &[u8], output: &mut [u8], with: Option<&Prepared>) -> Written {
    decompress(codec, over(input), over(output), with)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"a stream of tokens, "[at % 20] ^ (at / 97 % 3) as u8).collect()
}

#[test]
fn what_was_packed_comes_back_and_one_byte_less_of_room_is_refused() {
    for codec in 0..4 {
        for length in [0, 1, 64, 1000, 70_000] {
            let input = text(length);
            let bytes = packed(codec, &input, None);
            let mut output = vec![0u8; length];
            assert_eq!(unpack(codec, &bytes, &mut output, None), Ok(length), "{codec} {length}");
            assert_eq!(output, input);
            if length > 0 {
                let mut tight = vec![0u8; length - 1];
                let refused = unpack(codec, &bytes, &mut tight, None);
                assert_eq!(refused, Err(Failure::Full), "{codec} {length}");
            }
            let level = LEVELS[codec as usize];
            let small = vec![0u8; bytes.len() - 1];
            let refused = compress(codec, level, over(&input), over(&small), None);
            assert_eq!(refused, Err(Failure::Full), "{codec} {length}");
        }
    }
}

#[test]
fn a_cut_is_never_a_success() {
    for codec in 0..4 {
        let input = text(300);
        let bytes = packed(codec, &input, None);
        for end in 0..bytes.len() {
            let mut output = vec![0u8; 300];
            let refused = unpack(codec, &bytes[..end], &mut output, None);
            // Full, where libdeflate reads zeros behind the end before it notices.
            let known = matches!(refused, Err(Failure::Corrupt | Failure::Full));
            assert!(known, "{codec} cut at {end}: {refused:?}");
            let mut wide = vec![0u8; 4096];
            let refused = unpack(codec, &bytes[..end], &mut wide, None);
            assert_eq!(refused, Err(Failure::Corrupt), "{codec} cut at {end}");
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    for codec in 0..4 {
        let mut bytes = packed(codec, &text(300), None);
        bytes.push(7);
        let mut output = vec![0u8; 400];
        assert_eq!(unpack(codec, &bytes, &mut output, None), Err(Failure::Corrupt), "{codec}");
    }
}

#[test]
fn rows_of_members_are_one_input_and_their_sum_is_bounded() {
    for codec in [GZIP, ZSTD] {
        let bytes = packed(codec, &text(300), None).repeat(10);
        let mut output = vec![0u8; 3000];
        assert_eq!(unpack(codec, &bytes, &mut output, None), Ok(3000), "{codec}");
        let refused = unpack(codec, &bytes, &mut output[..2999], None);
        assert_eq!(refused, Err(Failure::Full), "{codec}");
    }
}

#[test]
fn input_and_output_may_not_be_the_same_memory() {
    let bytes = vec![0u8; 100];
    for codec in 0..4 {
        let refused = compress(codec, 3, over(&bytes), over(&bytes), None);
        assert_eq!(refused, Err(Failure::Range));
    }
}

#[test]
fn levels_and_codecs_that_do_not_exist_are_refused() {
    let (input, output) = (text(10), vec![0u8; 100]);
    for (codec, level) in [(0, 10), (0, -1), (BROTLI, 12), (BROTLI, -1), (ZSTD, 0), (ZSTD, 23)] {
        let refused = compress(codec, level, over(&input), over(&output), None);
        assert_eq!(refused, Err(Failure::Level), "{codec} {level}");
    }
    assert_eq!(compress(4, 1, over(&input), over(&output), None), Err(Failure::Codec));
}

fn trained(number: u32) -> Vec<u8> {
    let mut samples = Vec::new();
    let mut sizes = Vec::new();
    for at in 0..2000 {
        let sample = format!("{{\"type\":\"delta\",\"sequence\":{at},\"delta\":\"w{}\"}}", at * 7919);
        sizes.push(sample.len());
        samples.extend_from_slice(sample.as_bytes());
    }
    let mut output = vec![0u8; 2048];
    let length = train(over(&samples), &sizes, over(&output), 3, number).expect("enough samples");
    output.truncate(length);
    output
}

#[test]
fn the_same_samples_train_the_same_dictionary() {
    assert_eq!(trained(7), trained(7));
}

#[test]
fn only_the_dictionary_that_packed_unpacks() {
    let (first, other) = (trained(7), trained(8));
    let packs = Prepared::compressing(over(&first), 3).expect("good");
    let unpacks = Prepared::decompressing(over(&first)).expect("good");
    let wrong = Prepared::decompressing(over(&other)).expect("good");
    let input = b"{\"type\":\"delta\",\"sequence\":77,\"delta\":\"hello\"}";
    let bytes = packed(ZSTD, input, Some(&packs));
    assert!(bytes.len() * 2 < packed(ZSTD, input, None).len(), "{} bytes", bytes.len());
    let mut output = vec![0u8; 100];
    assert_eq!(unpack(ZSTD, &bytes, &mut output, Some(&unpacks)), Ok(input.len()));
    for given in [Some(&wrong), Some(&packs), None] {
        assert_eq!(unpack(ZSTD, &bytes, &mut output, given), Err(Failure::Dictionary));
    }
}

#[test]
fn a_plain_text_serves_as_dictionary_and_a_damaged_one_does_not() {
    let words = text(500);
    let packs = Prepared::compressing(over(&words), 3).expect("good");
    let unpacks = Prepared::decompressing(over(&words)).expect("good");
    let bytes = packed(ZSTD, &words[100..400], Some(&packs));
    assert!(bytes.len() < 40, "{} bytes", bytes.len());
    let mut output = vec![0u8; 300];
    assert_eq!(unpack(ZSTD, &bytes, &mut output, Some(&unpacks)), Ok(300));
    assert_eq!(unpack(ZSTD, &bytes, &mut output, None), Err(Failure::Corrupt));
    let mut damaged = trained(7);
    damaged[8..200].fill(0xff);
    assert_eq!(Prepared::compressing(over(&damaged), 3).err(), Some(Failure::Dictionary));
    assert_eq!(Prepared::decompressing(over(&damaged)).err(), Some(Failure::Dictionary));
}
