//! What a header block costs, one element per block, beside a general library. The bar is 150 ns in steady state.
//!
//! - `request`, `response`, `trailers`: steady state of a client and a server that index all (grpc-go): every block was there before
//! - `literal path`: steady state of a client that never indexes the path (tonic)
//! - `deadline`: as `request`, with a time limit that is new each time and is inserted, so that every index moves
//! - `first`: the first block of a connection, Huffman coded throughout, with a decoder of its own
//! - `unknown`: as `request`, by a decoder that joined in mid-life and knows nothing

use std::hint::black_box;

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use fleetscope_core::hpack::{Block, Decoder, Field};

/// `:method`, `:scheme`, then inserted: `:path`, `:authority`, `content-type`, `user-agent`, `te`.
const FIRST: &str = "8386459862c3da92cd69a42afb4f6a4b8ad348563115384a34db617f4195b0f6a4ab4d69a42af21651db425747725c6c006c3f5f8b1d75d0620d263d4c\
    4d65647a8a9acac8b4c7602bb8f2e04082497f864d833505b11f";
/// The same, by index.
const REQUEST: &str = "8386c2c1c0bfbe";
/// Inserted: `:authority`, `te`, `content-type`, `user-agent`; `:path` never.
const FIRST_LITERAL: &str = "83864195b0f6a4ab4d69a42af21651db425747725c6c006c3f049862c3da92cd69a42afb4f6a4b8ad348563115384a34db617f4082497f864d833505b1\
    1f5f8b1d75d0620d263d4c4d65647a8949ea311802e112ecff";
const LITERAL: &str = "8386c1049862c3da92cd69a42afb4f6a4b8ad348563115384a34db617fc0bfbe";
/// `:status`, then inserted: `content-type`; trailers with `grpc-status` and `grpc-message` inserted.
const FIRST_RESPONSE: &str = "885f8b1d75d0620d263d4c4d6564";
const FIRST_TRAILERS: &str = "40889acac8b21234da8f810740899acac8b5254207317f80";
const RESPONSE: &str = "88c0";
const TRAILERS: &str = "bfbe";
/// `grpc-timeout` of `999873u`, inserted with a literal name; the second time with the name of the newest entry.
const FIRST_TIMEOUT: &str = "40899acac8b24d494f6a7f867df7de759b7f";
const TIMEOUT: &str = "7e867df7de759b7f";
/// `:path` that all of these have.
const PATH: &str = "/routeguide.RouteGuide/GetFeature";
/// Blocks of one round with deadlines: all indexes stay below 127, of one octet.
const ROUND: u8 = 40;

type Library = loona_hpack::Decoder<'static>;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(16 * pair[0] + pair[1]).expect("two digits are a byte")).collect()
}

/// Decoders that have read these blocks.
fn after(first: &[&str], mut decoder: Decoder) -> (Decoder, Library) {
    let mut library = Library::new();
    for block in first.iter().map(|block| hex(block)) {
        decoder.decode(&block, &mut Block::default()).expect("the block is sound");
        library.decode(&block).expect("the block is sound");
    }
    (decoder, library)
}

fn steady(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    first: &[&str],
    block: &str,
    path: &Field<std::sync::Arc<str>>,
) {
    let (mut decoder, mut library) = after(first, Decoder::new());
    let (block, mut out) = (hex(block), Block::default());
    group.bench_function(name, |b| b.iter(|| decoder.decode(black_box(&block), &mut out)));
    assert_eq!(&out.method, path);
    group.bench_function(format!("{name}, library"), |b| {
        b.iter(|| library.decode_with_cb(black_box(&block), |name, value| drop(black_box((name, value)))));
    });
}

/// Blocks with a deadline: from the second on the path's index is one more each time, as is that of all others.
fn deadlines() -> Vec<Vec<u8>> {
    let rest = |moved: u8| [0x83, 0x86].into_iter().chain([66, 65, 64, 63, 62].map(|index| 0x80 | (index + moved)));
    (0..ROUND).map(|n| rest(n).chain(hex(if n == 0 { FIRST_TIMEOUT } else { TIMEOUT })).collect()).collect()
}

fn blocks(c: &mut Criterion) {
    let path = Field::Known(PATH.into());
    let mut group = c.benchmark_group("hpack");
    group.throughput(Throughput::Elements(1));
    steady(&mut group, "request", &[FIRST], REQUEST, &path);
    steady(&mut group, "literal path", &[FIRST_LITERAL], LITERAL, &path);
    steady(&mut group, "response", &[FIRST_RESPONSE, FIRST_TRAILERS], RESPONSE, &Field::Absent);
    steady(&mut group, "trailers", &[FIRST_RESPONSE, FIRST_TRAILERS], TRAILERS, &Field::Absent);

    let (block, mut out) = (hex(REQUEST), Block::default());
    let mut joined = Decoder::joined();
    group.bench_function("unknown", |b| b.iter(|| joined.decode(black_box(&block), &mut out)));
    assert_eq!(out.unknown_fields, 5);

    let block = hex(FIRST);
    group.bench_function("first", |b| {
        b.iter_batched_ref(Decoder::new, |decoder| decoder.decode(black_box(&block), &mut out), BatchSize::SmallInput);
    });
    assert_eq!(out.method, path);
    group.bench_function("first, library", |b| {
        b.iter_batched_ref(Library::new, |library| library.decode(black_box(&block)), BatchSize::SmallInput);
    });

    group.throughput(Throughput::Elements(u64::from(ROUND)));
    let round = deadlines();
    group.bench_function("deadline", |b| {
        let decode = |(decoder, _): &mut (Decoder, Library)| {
            for block in &round {
                decoder.decode(black_box(block), &mut out).expect("the block is sound");
            }
        };
        b.iter_batched_ref(|| after(&[FIRST], Decoder::new()), decode, BatchSize::SmallInput);
    });
    assert_eq!((&out.method, &out.grpc_timeout), (&path, &Field::Known(999_873_000)));
    group.bench_function("deadline, library", |b| {
        let decode = |(_, library): &mut (Decoder, Library)| {
            for block in &round {
                library
                    .decode_with_cb(black_box(block), |name, value| drop(black_box((name, value))))
                    .expect("it is sound");
            }
        };
        b.iter_batched_ref(|| after(&[FIRST], Decoder::new()), decode, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, blocks);
criterion_main!(benches);
