//! Records of the ring buffer, sound and not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::wire::{Part, Sheet, closed, closed_again, found_closed, go_away, headers};
use crate::rpc::frame::{Closed, Direction, FrameError, Piece, Record, Start, is_record, parse};

/// What a case changes of a sound record.
type Change = fn(&mut Sheet, &Part);

fn sheet() -> Sheet {
    let parts = [headers(5, b"block").cut(&[2]), go_away(3).cut(&[])].concat();
    Sheet { cgroup: 77, waited: 3_000_000_000, ..Sheet::new(u64::MAX, Direction::Received, 1 << 40, 1 << 50, parts) }
}

#[test]
fn a_record_is_read_whole() {
    let mut bytes = sheet().bytes();
    // The ring buffer rounds sizes up.
    bytes.extend([0xff; 7]);
    let Record::Frames(frames) = parse(&bytes).unwrap() else { panic!("it is a record of frames") };
    assert_eq!((frames.time, frames.cgroup, frames.cookie, frames.seq), (1 << 40, 77, u64::MAX, 1 << 50));
    assert_eq!(frames.waited, 3_000_000_000_000);
    assert_eq!((frames.direction, frames.start, frames.end), (Direction::Received, Start::Preface, 0));
    let expected = [
        Piece { stream: 5, length: 5, offset: 0, kind: 1, flags: 4, data: b"bl" },
        Piece { stream: 5, length: 5, offset: 2, kind: 1, flags: 4, data: b"ock" },
        Piece { stream: 0, length: 22, offset: 0, kind: 7, flags: 0, data: &[0, 0, 0, 3, 0, 0, 0, 0] },
    ];
    assert_eq!((frames.pieces().collect::<Vec<_>>(), frames.count()), (expected.to_vec(), 3));
    assert_eq!(
        parse(&closed(9, 8, [3, 1 << 40], [7, 1 << 30])),
        Ok(Record::Closed(Closed {
            time: 8,
            cookie: 9,
            late: false,
            ends: [3, 1 << 40],
            streams: [7, 1 << 30],
            again: false
        }))
    );
    assert_eq!(
        parse(&found_closed(9, 8)),
        Ok(Record::Closed(Closed { time: 8, cookie: 9, late: true, ends: [0; 2], streams: [0; 2], again: false }))
    );
    let again = closed_again(9, 8, [3, 4], [5, 6]);
    let again = parse(&again);
    assert!(matches!(again, Ok(Record::Closed(Closed { again: true, late: false, .. }))), "{again:?}");
    assert!(is_record(&bytes) && is_record(&closed(9, 8, [0; 2], [0; 2])) && !is_record(&[1, 0]) && !is_record(&[5]));
}

#[test]
fn every_cut_of_a_record_is_refused() {
    for whole in [sheet().bytes(), closed(1, 2, [3, 4], [5, 6])] {
        for len in 0..whole.len() {
            let error = parse(&whole[..len]).unwrap_err();
            assert!(matches!(error, FrameError::Truncated { got, needed } if got == len && needed > len), "{error}");
        }
    }
}

#[test]
fn fields_that_the_kernel_does_not_write_are_refused() {
    let part = Part { kind: 1, flags: 4, stream: 1, length: 8, offset: 0, data: vec![0; 8] };
    let invalid = |field, value| Err(FrameError::Invalid { field, value });
    let cases: [(&str, Change, Result<(), FrameError>); 8] = [
        ("sound", |sheet, part| sheet.parts = vec![part.clone()], Ok(())),
        ("start", |sheet, _| sheet.start = 3, invalid("start", 3)),
        (
            "length",
            |sheet, part| sheet.parts = vec![Part { length: 1 << 24, ..part.clone() }],
            invalid("length", 1 << 24),
        ),
        ("beyond", |sheet, part| sheet.parts = vec![Part { offset: 1, ..part.clone() }], invalid("offset", 1)),
        (
            "overflow",
            |sheet, part| sheet.parts = vec![Part { offset: u32::MAX, ..part.clone() }],
            invalid("offset", u32::MAX.into()),
        ),
        (
            "given up",
            |sheet, part| sheet.parts = vec![Part { offset: u32::MAX, data: Vec::new(), ..part.clone() }],
            Ok(()),
        ),
        (
            "captured",
            |sheet, part| sheet.parts = vec![Part { length: 5000, data: vec![0; 4097], ..part.clone() }],
            invalid("captured", 4097),
        ),
        ("reserved bit", |sheet, part| sheet.parts = vec![Part { stream: 1 << 31, ..part.clone() }], Ok(())),
    ];
    for (name, change, expected) in cases {
        let mut sheet = sheet();
        change(&mut sheet, &part);
        assert_eq!(parse(&sheet.bytes()).map(|_| ()), expected, "{name}");
    }
    let mut bytes = sheet().bytes();
    bytes[50] = 2;
    assert_eq!(parse(&bytes).map(|_| ()), invalid("direction", 2));
    let mut bytes = sheet().bytes();
    bytes[48..50].copy_from_slice(&2_u16.to_ne_bytes());
    assert_eq!(parse(&bytes).map(|_| ()), Err(FrameError::Pieces { got: 3, said: 2 }));
    bytes[0..2].copy_from_slice(&1_u16.to_ne_bytes());
    assert_eq!(parse(&bytes).map(|_| ()), Err(FrameError::Kind { kind: 1 }));
}

#[test]
fn every_error_has_a_reason_of_the_list() {
    let errors = [
        FrameError::Truncated { got: 0, needed: 1 },
        FrameError::Invalid { field: "start", value: 0 },
        FrameError::Pieces { got: 0, said: 1 },
        FrameError::Kind { kind: 0 },
    ];
    assert_eq!(errors.map(FrameError::reason), FrameError::REASONS);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), kind in 0..8_u16) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_chunk_mut() {
            *first = kind.to_ne_bytes();
        }
        if let Ok(Record::Frames(frames)) = parse(&bytes) {
            prop_assert_eq!(frames.pieces().count(), usize::from(frames.count()));
        }
    }
}
