use proptest::collection::vec;
use proptest::prelude::*;

use super::encoder::{Encoder, Plan, coded, plans};
use super::*;
use crate::checkpoint::{self, Saved as _};

/// Most of the table that the sender of a run may use, in bytes; small ones evict.
fn max() -> impl Strategy<Value = usize> {
    prop_oneof![Just(4096_usize), Just(300), Just(150), Just(0)]
}

/// Codes the blocks; the first tells the size. Gives each with what it says.
fn run(plans: &[Plan], max: usize) -> Vec<(Vec<u8>, Block)> {
    let mut encoder = Encoder::new(4096);
    let mut sizes = vec![u32::try_from(max).unwrap()];
    let mut blocks = Vec::new();
    for plan in plans {
        sizes.extend(plan.sizes.iter().map(|size| size % u32::try_from(max + 1).unwrap()));
        let plan = Plan { sizes: std::mem::take(&mut sizes), fields: plan.fields.clone() };
        let fields: Vec<_> = plan.fields.iter().map(|(field, _)| field.clone()).collect();
        blocks.push((encoder.encode(&plan), truth(&fields)));
    }
    blocks
}

/// What is known is the truth, and what is not there is not there; unknown is allowed.
fn no_wrong_value<T: Clone + PartialEq + std::fmt::Debug>(
    got: &Field<T>,
    truth: &Field<T>,
) -> Result<(), TestCaseError> {
    prop_assert!(matches!(got, Field::Unknown(_)) || got == truth, "{got:?} for {truth:?}");
    Ok(())
}

fn no_wrong_block(got: &Block, truth: &Block) -> Result<(), TestCaseError> {
    no_wrong_value(&got.method, &truth.method)?;
    no_wrong_value(&got.status, &truth.status)?;
    no_wrong_value(&got.content_type, &truth.content_type)?;
    no_wrong_value(&got.grpc_status, &truth.grpc_status)?;
    no_wrong_value(&got.grpc_timeout, &truth.grpc_timeout)?;
    prop_assert!(got.is_request == truth.is_request || (truth.is_request && got.maybe_request));
    prop_assert!(truth.is_post || !got.is_post);
    if got.unknown_fields == 0 {
        prop_assert_eq!(got, truth);
    }
    Ok(())
}

/// Names and values, any bytes.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What the library makes of a block.
fn library(decoder: &mut loona_hpack::Decoder<'_>, block: &[u8]) -> Result<Fields, String> {
    decoder.decode(block).map_err(|error| format!("{error:?}"))
}

/// What fields of any bytes say: decoded as literals that are neither coded nor inserted.
fn by_literals(fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Block, HpackError> {
    let mut block = Vec::new();
    for field in fields {
        block.push(0);
        for text in [&field.0, &field.1] {
            block.extend(loona_hpack::encoder::encode_integer(text.len(), 7));
            block.extend_from_slice(text);
        }
    }
    decoded(&mut Decoder::new(), &block)
}

/// The library makes its Huffman table anew for each string, so that fewer runs are affordable with it.
const BESIDE_THE_LIBRARY: u32 = 30;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(BESIDE_THE_LIBRARY))]

    #[test]
    fn every_block_of_a_connection_seen_from_its_begin_is_the_truth(plans in plans(), max in max()) {
        let (mut decoder, mut other) = (Decoder::new(), loona_hpack::Decoder::new());
        for (bytes, truth) in run(&plans, max) {
            prop_assert_eq!(decoded(&mut decoder, &bytes), Ok(truth.clone()));
            // The sender's blocks are sound for the library too.
            match library(&mut other, &bytes) {
                Ok(fields) => prop_assert_eq!(by_literals(&fields), Ok(truth)),
                Err(error) => prop_assert_eq!(error, "SizeUpdateAtEnd"),
            }
        }
    }

    #[test]
    fn what_the_librarys_encoder_writes_is_read(plans in plans()) {
        let (mut decoder, mut encoder) = (Decoder::new(), loona_hpack::Encoder::new());
        for plan in plans {
            let fields: Vec<_> = plan.fields.into_iter().map(|(field, _)| field).collect();
            let bytes = encoder.encode(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            prop_assert_eq!(decoded(&mut decoder, &bytes), Ok(truth(&fields)));
        }
    }

    #[test]
    fn huffman_strings_are_what_the_library_reads(bytes in vec(any::<u8>(), 0..200), junk in vec(any::<u8>(), 0..40)) {
        let read = |coded: &[u8]| {
            let mut out = Vec::new();
            huffman::decode(coded, usize::MAX, &mut out).map(|len| (len, out)).ok()
        };
        let other = |coded: &[u8]| loona_hpack::huffman::HuffmanDecoder::new().decode(coded).ok().map(|out| (out.len(), out));
        let sound = coded(&bytes);
        prop_assert_eq!(read(&sound), Some((bytes.len(), bytes)));
        prop_assert_eq!(read(&sound), other(&sound));
        prop_assert_eq!(read(&junk), other(&junk));
        let ended = [&sound[..], &[0xff; 4]].concat();
        prop_assert_eq!(read(&ended), None);
        prop_assert_eq!(read(&ended), other(&ended));
    }

    #[test]
    fn any_bytes_get_the_librarys_verdict(blocks in vec(hostile(), 1..12)) {
        let (mut decoder, mut other) = (Decoder::new(), loona_hpack::Decoder::new());
        other.set_max_allowed_table_size(4096);
        let mut joined = Decoder::joined();
        for block in blocks {
            let mut out = Block::default();
            let _ = joined.decode(&block, &mut out);
            let (got, other) = (decoded(&mut decoder, &block), library(&mut other, &block));
            match (got, other) {
                (Ok(got), Ok(fields)) => prop_assert_eq!(Ok(got), by_literals(&fields)),
                (Err(_), Err(_)) | (Err(HpackError::LateSizeUpdate), Ok(_)) => break,
                // The library reads integers of four octets, allows a size update after a field, and none at the end.
                (Ok(_), Err(error)) if error.contains("TooManyOctets") || error.contains("SizeUpdateAtEnd") => break,
                (got, other) => prop_assert!(false, "{got:?}, library {other:?}, {block:02x?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn joined_in_mid_life_no_value_is_wrong(plans in plans(), max in max(), from in any::<prop::sample::Index>()) {
        let blocks = run(&plans, max);
        let mut decoder = Decoder::joined();
        for (bytes, truth) in &blocks[from.index(blocks.len())..] {
            no_wrong_block(&decoded(&mut decoder, bytes)?, truth)?;
        }
    }

    #[test]
    fn after_losses_no_value_is_wrong(plans in plans(), max in max(), lost in vec(prop::bool::weighted(0.1), 60)) {
        let mut decoder = Decoder::new();
        let mut gap = false;
        for ((bytes, truth), lost) in run(&plans, max).iter().zip(lost) {
            if lost {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                decoder.gap();
            }
            no_wrong_block(&decoded(&mut decoder, bytes)?, truth)?;
        }
    }

    #[test]
    fn one_entry_has_one_identity(plans in plans(), max in max(), from in any::<prop::sample::Index>()) {
        // Two observers that join at two blocks: what the later one does not know either has the ordinal of the earlier one, minus
        // the inserts between them.
        let blocks = run(&plans, max);
        let from = from.index(blocks.len());
        let (mut early, mut late) = (Decoder::joined(), Decoder::joined());
        for (bytes, _) in &blocks[..from] {
            decoded(&mut early, bytes)?;
        }
        let mut between = None;
        for (bytes, _) in &blocks[from..] {
            let (early, late) = (decoded(&mut early, bytes)?, decoded(&mut late, bytes)?);
            // Else the first unknown field of one may not be that of the other.
            let same = early.unknown_fields == late.unknown_fields;
            let ids = [early.grpc_status, late.grpc_status];
            if let [Field::Unknown(Some(early)), Field::Unknown(Some(late))] = ids && same {
                let difference = early.ordinal - late.ordinal;
                prop_assert_eq!(*between.get_or_insert(difference), difference);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_is_saved_can_be_loaded_whatever_came(
        joined in any::<bool>(), limit in prop_oneof![Just(4096), Just(MAX_TABLE), Just(1 << 20)], blocks in vec(prop_oneof![2 => hostile(), 1 => large()], 1..12),
    ) {
        let mut decoder = if joined { Decoder::joined() } else { Decoder::new() };
        decoder.set_limit(limit);
        for block in blocks {
            let _ = decoder.decode(&block, &mut Block::default());
            let mut bytes = Vec::new();
            decoder.save(&mut bytes);
            let mut from = checkpoint::Reader::new(&bytes);
            let loaded = Decoder::load(&mut from).and_then(|decoder| from.end().map(|()| decoder));
            let mut again = Vec::new();
            loaded.map_err(|error| TestCaseError::fail(error.to_string()))?.save(&mut again);
            prop_assert!(bytes == again);
        }
    }
}

/// A block that makes the table large, if that is allowed, and then one of an entry about as large as what is kept.
fn large() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![Just(hex("")), Just(hex("3fe1ff3f"))];
    (first, 8180..8200_u32).prop_map(|(first, eighth)| [first, hex("40 01 78"), huffman_zeros(eighth * 8)].concat())
}

/// Bytes that are likely to be fields.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let text = vec(any::<u8>(), 0..20);
    let name = prop::sample::select(&[":path", ":status", "content-type", "grpc-status", "grpc-timeout", "x"][..]);
    let field = prop_oneof![
        4 => (0x80..=0xff_u8).prop_map(|byte| vec![byte]),
        3 => (prop_oneof![0..0x20_u8, 0x40..0x80_u8], text.clone()).prop_map(|(first, text)| {
            [vec![first, u8::try_from(text.len()).unwrap()], text].concat()
        }),
        3 => (prop_oneof![Just(0x40_u8), Just(0)], name, text.clone()).prop_map(|(first, name, text)| {
            let name = [vec![first, u8::try_from(name.len()).unwrap()], name.as_bytes().to_vec()].concat();
            [name, vec![u8::try_from(text.len()).unwrap()], text].concat()
        }),
        2 => (prop_oneof![Just(0x40_u8), Just(0)], text.clone(), text.clone()).prop_map(|(first, a, b)| {
            let (a, b) = (coded(&a), coded(&b));
            let string = |coded: Vec<u8>| [loona_hpack::encoder::encode_integer(coded.len(), 7), coded].concat();
            let flagged = |mut string: Vec<u8>| { string[0] |= 0x80; string };
            [vec![first], flagged(string(a)), flagged(string(b))].concat()
        }),
        1 => (0x20..0x40_u8).prop_map(|byte| vec![byte, 0x01]),
        1 => text,
    ];
    vec(field, 0..12).prop_map(|fields| fields.concat())
}
