use std::sync::Arc;

use super::*;

/// A block that inserts fields of 100 bytes each, `:path` with 63 bytes of value.
fn inserts(count: u8) -> Vec<u8> {
    (0..count).flat_map(|n| literal(0x40, ":path", &format!("/{n:062}"))).collect()
}

fn path(n: u8) -> Field<Arc<str>> {
    Field::Known(format!("/{n:062}").into())
}

#[test]
fn each_error_has_its_reason() {
    let index = |index| HpackError::NoSuchIndex { index };
    let cases = [
        ("80", index(0), "hpack_index"),
        ("be", index(62), "hpack_index"),
        ("7e 0131", index(62), "hpack_index"),
        ("0f 2f 0131", index(62), "hpack_index"),
        ("ff", HpackError::Truncated, "hpack_truncated"),
        ("40", HpackError::Truncated, "hpack_truncated"),
        ("40 02 61", HpackError::Truncated, "hpack_truncated"),
        ("40 01 61", HpackError::Truncated, "hpack_truncated"),
        ("40 01 61 02 62", HpackError::Truncated, "hpack_truncated"),
        ("ff ffff ffff 10", HpackError::IntegerTooLarge, "hpack_integer"),
        ("ff 8080 8080 8000", HpackError::IntegerTooLarge, "hpack_integer"),
        ("ff 80ff ffff 0f", index(u32::MAX), "hpack_index"),
        ("00 01 61 81 18", HpackError::Padding, "hpack_huffman"),
        ("00 01 61 82 1fff", HpackError::Padding, "hpack_huffman"),
        ("00 01 61 81 ff", HpackError::Padding, "hpack_huffman"),
        ("00 01 61 84 ffff ffff", HpackError::EndOfString, "hpack_huffman"),
        ("82 20", HpackError::LateSizeUpdate, "hpack_size_update"),
        ("3f e2 1f", HpackError::SizeUpdateTooLarge { size: 4097, limit: 4096 }, "hpack_size_update"),
    ];
    for (block, error, reason) in cases {
        assert_eq!(decoded(&mut Decoder::new(), &hex(block)), Err(error), "{block}");
        assert_eq!(error.reason(), reason);
        assert!(HpackError::REASONS.contains(&reason));
    }
    let too_long = HpackError::BlockTooLong { got: BLOCK_MAX + 1, max: BLOCK_MAX };
    assert_eq!(decoded(&mut Decoder::new(), &vec![0x82; BLOCK_MAX + 1]), Err(too_long));
    let fields = FIELDS_MAX as usize;
    let too_many = HpackError::TooManyFields { max: FIELDS_MAX };
    assert_eq!(decoded(&mut Decoder::new(), &vec![0x82; fields + 1]), Err(too_many));
    assert_eq!(
        decoded(&mut Decoder::new(), &vec![0x82; fields]),
        Ok(truth(&[(":method".to_owned(), "GET".to_owned())]))
    );
    assert_eq!([too_long.reason(), too_many.reason()], ["hpack_block_too_long", "hpack_fields"]);
}

#[test]
fn an_entry_that_was_evicted_is_an_error_when_all_is_known() {
    let mut decoder = Decoder::new();
    // 40 entries of 100 bytes fit in 4,096.
    assert!(decoded(&mut decoder, &inserts(42)).is_ok());
    assert_eq!(decoded(&mut decoder, &[0xbe]).unwrap().method, path(41));
    assert_eq!(decoded(&mut decoder, &[0xbe + 39]).unwrap().method, path(2));
    assert_eq!(decoded(&mut decoder, &[0xbe + 40]), Err(HpackError::NoSuchIndex { index: 102 }));
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new();
    // 100 bytes allowed: one entry fits, one of 101 does not.
    assert!(decoded(&mut decoder, &[hex("3f45"), inserts(1)].concat()).is_ok());
    assert_eq!(decoded(&mut decoder, &[0xbe]).unwrap().method, path(0));
    let large = literal(0x40, ":path", &"x".repeat(64));
    assert_eq!(decoded(&mut decoder, &large).unwrap().method, Field::Known("x".repeat(64).into()));
    assert_eq!(decoded(&mut decoder, &[0xbe]), Err(HpackError::NoSuchIndex { index: 62 }));
}

#[test]
fn a_size_update_evicts_and_a_later_one_makes_room_again() {
    let mut decoder = Decoder::new();
    assert!(decoded(&mut decoder, &inserts(3)).is_ok());
    // To 250 bytes and back to 4,096 in one block.
    assert_eq!(decoded(&mut decoder, &hex("3fdb01 3fe11f bf")).unwrap().method, path(1));
    assert_eq!(decoded(&mut decoder, &[0xc0]), Err(HpackError::NoSuchIndex { index: 64 }));
}

#[test]
fn settings_allow_a_larger_table_and_a_smaller_value_waits_for_the_sender() {
    let mut decoder = Decoder::new();
    decoder.set_limit(10_000);
    decoder.set_limit(0);
    assert!(decoded(&mut decoder, &[hex("3ff14d"), inserts(90)].concat()).is_ok());
    assert_eq!(decoded(&mut decoder, &[0xbe + 64, 0x82]).unwrap().method, path(25));
    assert_eq!(
        decoded(&mut decoder, &hex("3ff24d")),
        Err(HpackError::SizeUpdateTooLarge { size: 10_001, limit: 10_000 })
    );
    decoder.settings_lost();
    assert!(decoded(&mut decoder, &hex("3ff24d")).is_ok());
}

#[test]
fn a_table_larger_than_what_is_kept_has_unknown_older_entries_with_the_same_identity() {
    let mut decoder = Decoder::new();
    decoder.set_limit(1 << 20);
    // To 1 MiB.
    assert!(decoded(&mut decoder, &hex("3fe1ff3f")).is_ok());
    for _ in 0..7 {
        assert!(decoded(&mut decoder, &inserts(100)).is_ok());
    }
    // Of 700 entries of 100 bytes 655 are kept.
    assert_eq!(decoder.table.entries.len(), 655);
    let indexed = |index: u16| {
        let [low, high] = (index + 62 - 127).to_le_bytes();
        vec![0xff, low | 0x80, (low >> 7) | (high << 1)]
    };
    assert_eq!(decoded(&mut decoder, &indexed(654)).unwrap().method, path(45));
    let unknown = Field::Unknown(Some(EntryId { epoch: 0, ordinal: 44 }));
    assert_eq!(decoded(&mut decoder, &indexed(655)).unwrap().method, unknown);
    let before = decoder.memory();
    assert!(before < 200 * 1024, "{before}");
    // To 65,500: none but those that are known can be there.
    assert!(decoded(&mut decoder, &hex("3fbdff03")).is_ok());
    assert_eq!(decoded(&mut decoder, &indexed(655)), Err(HpackError::NoSuchIndex { index: 717 }));
}

#[test]
fn an_entry_larger_than_what_is_kept_is_one_that_is_not_known() {
    let mut decoder = Decoder::new();
    decoder.set_limit(1 << 20);
    assert!(decoded(&mut decoder, &[hex("3fe1ff3f"), inserts(3)].concat()).is_ok());
    // The name takes one byte of what is kept, the entry itself 32.
    let zeros = |count| [hex("40 01 78"), huffman_zeros(count)].concat();
    assert!(decoded(&mut decoder, &zeros(MAX_TABLE - 40)).is_ok());
    assert_eq!((decoder.table.entries.len(), decoder.table.size), (1, u64::from(MAX_TABLE - 7)));
    assert!(decoded(&mut decoder, &zeros(MAX_TABLE - 32)).is_ok());
    assert_eq!((decoder.table.entries.len(), decoder.table.size), (0, 0));
    assert!(decoded(&mut decoder, &inserts(1)).is_ok());
    assert_eq!(decoded(&mut decoder, &[0xbe]).unwrap().method, path(0));
    // Behind it are the large one, the one before that, and three that were seen and are as good as never seen now.
    for (index, ordinal) in [(0xbf, 4), (0xc0, 3), (0xc3, 0)] {
        let unknown = Field::Unknown(Some(EntryId { epoch: 0, ordinal }));
        assert_eq!(decoded(&mut decoder, &[index]).unwrap().method, unknown);
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut decoder = Decoder::joined();
    // The smallest entries there are: an empty name and an empty value.
    for _ in 0..10 {
        assert!(decoded(&mut decoder, &hex("400000").repeat(1000)).is_ok());
    }
    assert_eq!(decoder.table.entries.len(), 2048);
    for n in 0..1000_u32 {
        let (long, short) = (format!("/{n:01023}"), format!("/{n:0120}"));
        let name = literal(0x00, ":path", &short);
        assert!(decoded(&mut decoder, &name).is_ok());
        assert!(decoded(&mut decoder, &name).is_ok());
        let mut block = hex("44 7f 8107");
        block.extend_from_slice(long.as_bytes());
        assert_eq!(decoded(&mut decoder, &block).unwrap().method, Field::Known(long.into()));
    }
    let memory = decoder.memory();
    assert!(memory < 200 * 1024, "{memory}");
    decoder.gap();
    assert!(decoder.memory() < memory / 4, "{}", decoder.memory());
}
