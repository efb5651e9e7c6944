use super::integer::Reader;
use super::*;

/// One block: its bytes, its fields, the table after it (newest first) and the table's size.
type Step = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], u64);

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const DATE_21: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_22: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
const GET: (&str, &str) = (":method", "GET");
const HTTP: (&str, &str) = (":scheme", "http");
const HTTPS: (&str, &str) = (":scheme", "https");
const S302: (&str, &str) = (":status", "302");
const S307: (&str, &str) = (":status", "307");
const HEADER: (&str, &str) = ("custom-key", "custom-header");
const ROOT: (&str, &str) = (":path", "/");

/// Decodes the blocks in their order, here and with the library, and compares fields, tables and sizes after each.
fn check(table: u32, steps: &[Step]) {
    let (mut decoder, mut library) = (Decoder::new(), loona_hpack::Decoder::new());
    decoder.table.resize(table);
    library.set_max_table_size(table as usize);
    for (bytes, fields, entries, size) in steps {
        let bytes = hex(bytes);
        let owned: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let raw: Vec<_> =
            owned.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
        assert_eq!(library.decode(&bytes), Ok(raw), "the vector itself, {bytes:02x?}");
        assert_eq!(decoded(&mut decoder, &bytes), Ok(truth(&owned)), "{bytes:02x?}");
        let expected: Vec<_> = entries
            .iter()
            .map(|(name, value)| (Name::of(name.as_bytes()), length(name.len()), length(32 + name.len() + value.len())))
            .collect();
        let kept = decoder.table.entries.iter().map(|entry| (entry.meaning.name(), entry.name_len, entry.size));
        assert_eq!(kept.collect::<Vec<_>>(), expected, "{bytes:02x?}");
        assert_eq!(decoder.table.size, *size, "{bytes:02x?}");
    }
}

#[test]
fn c1_integers_are_read() {
    for (bytes, bits, value) in [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42), ("ea", 5, 10), ("ff9a0a", 5, 1337)]
    {
        let bytes = hex(bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.integer(bits), reader.peek()), (Ok(value), None), "{bytes:02x?}");
    }
}

#[test]
fn c2_each_representation_is_read() {
    check(4096, &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", &[HEADER], &[HEADER], 55)]);
    check(4096, &[("040c2f73616d706c652f70617468", &[(":path", "/sample/path")], &[], 0)]);
    check(4096, &[("100870617373776f726406736563726574", &[("password", "secret")], &[], 0)]);
    check(4096, &[("82", &[GET], &[], 0)]);
}

#[test]
fn c3_and_c4_requests_are_read_plain_and_huffman_coded() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for [first, second, third] in [plain, coded] {
        check(
            4096,
            &[
                (first, &[GET, HTTP, ROOT, AUTHORITY], &[AUTHORITY], 57),
                (second, &[GET, HTTP, ROOT, AUTHORITY, NO_CACHE], &[NO_CACHE, AUTHORITY], 110),
                (
                    third,
                    &[GET, HTTPS, (":path", "/index.html"), AUTHORITY, CUSTOM],
                    &[CUSTOM, NO_CACHE, AUTHORITY],
                    164,
                ),
            ],
        );
    }
}

#[test]
fn c5_and_c6_responses_with_evictions_are_read_plain_and_huffman_coded() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e \
         1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d \
         4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 \
         7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b \
         97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf \
         cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for [first, second, third] in [plain, coded] {
        check(
            256,
            &[
                (first, &[S302, PRIVATE, DATE_21, LOCATION], &[LOCATION, DATE_21, PRIVATE, S302], 222),
                (second, &[S307, PRIVATE, DATE_21, LOCATION], &[S307, LOCATION, DATE_21, PRIVATE], 222),
                (third, &[(":status", "200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE], &[COOKIE, GZIP, DATE_22], 215),
            ],
        );
    }
}
