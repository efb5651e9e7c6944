use super::*;

fn id(epoch: u32, ordinal: i64) -> EntryId {
    EntryId { epoch, ordinal }
}

fn one(name: &str, value: &str) -> Block {
    decoded(&mut Decoder::new(), &literal(0x00, name, value)).unwrap()
}

#[test]
fn values_are_read_or_refused_whole() {
    let kinds = [
        ("application/grpc", ContentType::Grpc),
        ("Application/gRPC", ContentType::Grpc),
        ("application/grpc+proto", ContentType::Grpc),
        ("application/grpc;charset=utf-8", ContentType::Grpc),
        ("application/grpc-web", ContentType::Other),
        ("application/grp", ContentType::Other),
        ("text/html", ContentType::Other),
        ("", ContentType::Other),
    ];
    for (value, kind) in kinds {
        assert_eq!(one("content-type", value).content_type, Field::Known(kind), "{value}");
    }
    for (value, status) in
        [("200", Some(200)), ("999", Some(999)), ("099", None), ("20", None), ("2000", None), ("2x0", None)]
    {
        let expected = status.map_or(Field::Invalid(Fault::Malformed), Field::Known);
        assert_eq!(one(":status", value).status, expected, "{value}");
    }
    let numbers = [
        ("0", Some(0)),
        ("16", Some(16)),
        ("4294967295", Some(u32::MAX)),
        ("4294967296", None),
        ("", None),
        ("-1", None),
        ("00000000000", None),
    ];
    for (value, status) in numbers {
        let expected = status.map_or(Field::Invalid(Fault::Malformed), Field::Known);
        assert_eq!(one("grpc-status", value).grpc_status, expected, "{value}");
    }
    let times = [
        ("1H", Some(3_600_000_000_000)),
        ("2M", Some(120_000_000_000)),
        ("3S", Some(3_000_000_000)),
        ("4m", Some(4_000_000)),
        ("5u", Some(5_000)),
        ("99999999n", Some(99_999_999)),
        ("99999999H", Some(u64::MAX)),
        ("100000000n", None),
        ("S", None),
        ("", None),
        ("1s", None),
        ("+1S", None),
    ];
    for (value, time) in times {
        let expected = time.map_or(Field::Invalid(Fault::Malformed), Field::Known);
        assert_eq!(one("grpc-timeout", value).grpc_timeout, expected, "{value}");
    }
}

#[test]
fn a_path_is_kept_up_to_its_bound_and_as_text_only() {
    let path = |bytes: &[u8]| {
        let mut block = hex("047f");
        // 127 and two octets more.
        let rest = u16::try_from(bytes.len() - 127).unwrap();
        block.extend([u8::try_from((rest & 0x7f) | 0x80).unwrap(), u8::try_from(rest >> 7).unwrap()]);
        block.extend_from_slice(bytes);
        decoded(&mut Decoder::new(), &block).unwrap().method
    };
    assert_eq!(path(&[b'a'; PATH_MAX]), Field::Known("a".repeat(PATH_MAX).into()));
    assert_eq!(path(&[b'a'; PATH_MAX + 1]), Field::Invalid(Fault::TooLong));
    assert_eq!(path(&[0xff; 200]), Field::Invalid(Fault::Malformed));
}

#[test]
fn a_field_that_is_there_twice_has_a_value_only_if_it_is_the_same() {
    let twice = |second: &str| [literal(0x00, "grpc-status", "0"), literal(0x00, "grpc-status", second)].concat();
    assert_eq!(decoded(&mut Decoder::new(), &twice("0")).unwrap().grpc_status, Field::Known(0));
    assert_eq!(decoded(&mut Decoder::new(), &twice("5")).unwrap().grpc_status, Field::Invalid(Fault::Repeated));
}

#[test]
fn unknown_fields_are_what_their_place_allows() {
    let mut decoder = Decoder::joined();
    // grpc-go's steady request: :method, :scheme, then :path, :authority and others from before the join.
    let expected = Block {
        method: Field::Unknown(Some(id(0, -5))),
        is_request: true,
        is_post: true,
        content_type: Field::Unknown(Some(id(0, -5))),
        grpc_status: Field::Unknown(Some(id(0, -5))),
        grpc_timeout: Field::Unknown(Some(id(0, -5))),
        unknown_fields: 5,
        ..Block::default()
    };
    assert_eq!(decoded(&mut decoder, &hex("8386 c2c1c0bfbe")), Ok(expected.clone()));
    // One more entry, and the old ones are the same: the index counts one more. What stands after a known regular field is none
    // of the pseudo-header fields.
    let block = [hex("8386 c2"), literal(0x40, "grpc-timeout", "1S"), hex("c1")].concat();
    let timed = Block { grpc_timeout: Field::Known(1_000_000_000), unknown_fields: 2, ..expected.clone() };
    assert_eq!(decoded(&mut decoder, &block), Ok(timed));
    let same = Block { unknown_fields: 1, ..expected };
    assert_eq!(decoded(&mut decoder, &hex("8386 c3")), Ok(same));
    let be = decoded(&mut decoder, &hex("8386 be c0 c1")).unwrap();
    assert_eq!((be.method, be.grpc_timeout), (Field::Absent, Field::Known(1_000_000_000)));
    // Before a known pseudo-header field there are only such fields.
    let before = decoded(&mut decoder, &hex("c3 83")).unwrap();
    let expected = Block {
        method: Field::Unknown(Some(id(0, -5))),
        is_request: true,
        is_post: true,
        unknown_fields: 1,
        ..Block::default()
    };
    assert_eq!(before, expected);
    // A response is no request, and the other way round.
    let response = decoded(&mut decoder, &hex("88 c3")).unwrap();
    assert_eq!((response.method, response.status, response.maybe_request), (Field::Absent, Field::Known(200), false));
    let all = decoded(&mut decoder, &hex("c3")).unwrap();
    assert_eq!((all.maybe_request, all.is_request), (true, false));
    assert_eq!(all.status, Field::Unknown(Some(id(0, -5))));
}

#[test]
fn an_unknown_name_with_a_literal_value_is_an_entry_of_its_own() {
    let mut decoder = Decoder::joined();
    // Not inserted: it has no identity. Inserted: it is the newest entry, whose name stays unknown.
    assert_eq!(decoded(&mut decoder, &hex("0f2f 0131")).unwrap().grpc_status, Field::Unknown(None));
    assert_eq!(decoded(&mut decoder, &hex("7e 0131")).unwrap().grpc_status, Field::Unknown(Some(id(0, 0))));
    assert_eq!(decoded(&mut decoder, &hex("be")).unwrap().grpc_status, Field::Unknown(Some(id(0, 0))));
    assert_eq!(decoded(&mut decoder, &hex("bf")).unwrap().grpc_status, Field::Unknown(Some(id(0, -1))));
    // A literal of the same name is known, and is an entry of its own.
    let named = [literal(0x40, "grpc-status", "5"), hex("bf")].concat();
    assert_eq!(decoded(&mut decoder, &named).unwrap().grpc_status, Field::Known(5));
    assert_eq!(decoded(&mut decoder, &hex("be")).unwrap().grpc_status, Field::Known(5));
}

#[test]
fn after_a_gap_older_entries_are_unknown_in_an_epoch_of_their_own_and_newer_ones_resolve() {
    let mut decoder = Decoder::new();
    let insert = literal(0x40, ":path", "/a/b");
    let known = decoded(&mut decoder, &insert).unwrap();
    assert_eq!(decoded(&mut decoder, &hex("be")), Ok(known.clone()));
    assert_eq!(decoded(&mut decoder, &hex("be")), Ok(known.clone()));
    assert_eq!(decoded(&mut decoder, &hex("be")), Ok(known.clone()));
    decoder.gap();
    assert_eq!(decoded(&mut decoder, &hex("be")).unwrap().method, Field::Unknown(Some(id(1, -1))));
    assert_eq!(decoded(&mut decoder, &insert), Ok(known.clone()));
    assert_eq!(decoded(&mut decoder, &hex("be")), Ok(known.clone()));
    assert_eq!(decoded(&mut decoder, &hex("bf")).unwrap().method, Field::Unknown(Some(id(1, -1))));
    // An error is a gap: what follows is never resolved with what was before.
    assert_eq!(decoded(&mut decoder, &hex("80")), Err(HpackError::NoSuchIndex { index: 0 }));
    assert_eq!(decoded(&mut decoder, &hex("be")).unwrap().method, Field::Unknown(Some(id(2, -1))));
    // The limit still bounds what can be there: 4,096 bytes are 128 entries.
    assert_eq!(decoded(&mut decoder, &hex("ff 3f")), Err(HpackError::NoSuchIndex { index: 190 }));
}

#[test]
fn calls_of_one_method_share_the_path() {
    let mut decoder = Decoder::new();
    let block = literal(0x00, ":path", "/a/b");
    let (first, second) = (decoded(&mut decoder, &block).unwrap(), decoded(&mut decoder, &block).unwrap());
    let third = decoded(&mut decoder, &block).unwrap();
    assert_eq!([&first, &second], [&third, &third]);
    let (second, third) = (second.method.known().unwrap(), third.method.known().unwrap());
    assert!(std::sync::Arc::ptr_eq(second, third));
}
