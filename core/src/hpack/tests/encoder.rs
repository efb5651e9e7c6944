//! A sender that is told how to code each field: it uses every representation, and no index but one that its table has.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::huffman::LENGTHS;

/// How to code one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// By its index, if the table has it.
    pub(super) indexed: bool,
    /// 0x40 with indexing, 0x00 without, 0x10 never.
    pub(super) representation: u8,
    /// The name by an index: of the static table, of the dynamic one, or of neither.
    pub(super) name: NameFrom,
    pub(super) huffman: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameFrom {
    Static,
    Dynamic,
    Literal,
}

/// A block as it is to be coded.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Size updates before the fields.
    pub(super) sizes: Vec<u32>,
    pub(super) fields: Vec<((String, String), How)>,
}

/// The sender and its table, newest first.
#[derive(Debug)]
pub(super) struct Encoder {
    table: VecDeque<(String, String)>,
    max: usize,
}

impl Encoder {
    pub(super) fn new(max: usize) -> Self {
        Self { table: VecDeque::new(), max }
    }

    pub(super) fn encode(&mut self, plan: &Plan) -> Vec<u8> {
        let mut out = Vec::new();
        for size in &plan.sizes {
            integer(*size as usize, 5, 0x20, &mut out);
            self.max = *size as usize;
            self.evict(0);
        }
        for (field, how) in &plan.fields {
            self.field(field, *how, &mut out);
        }
        out
    }

    fn field(&mut self, field: &(String, String), how: How, out: &mut Vec<u8>) {
        let statics = super::STATIC_TABLE;
        let whole = statics.iter().position(|(name, value)| (*name, *value) == (&field.0, &field.1));
        let whole = self.table.iter().position(|entry| entry == field).map(|at| at + 61).or(whole);
        if let (true, Some(at)) = (how.indexed, whole) {
            return integer(at + 1, 7, 0x80, out);
        }
        let name = match how.name {
            NameFrom::Static => statics.iter().position(|(name, _)| *name == field.0),
            NameFrom::Dynamic => self.table.iter().position(|(name, _)| *name == field.0).map(|at| at + 61),
            NameFrom::Literal => None,
        };
        let bits = if how.representation == 0x40 { 6 } else { 4 };
        integer(name.map_or(0, |at| at + 1), bits, how.representation, out);
        if name.is_none() {
            string(&field.0, how.huffman, out);
        }
        string(&field.1, how.huffman, out);
        if how.representation == 0x40 {
            let size = size(field);
            self.evict(size);
            if size <= self.max {
                self.table.push_front(field.clone());
            }
        }
    }

    fn evict(&mut self, room: usize) {
        while self.table.iter().map(size).sum::<usize>() + room > self.max && self.table.pop_back().is_some() {}
    }
}

fn size((name, value): &(String, String)) -> usize {
    name.len() + value.len() + 32
}

fn integer(value: usize, bits: u32, first: u8, out: &mut Vec<u8>) {
    let full = (1 << bits) - 1;
    if value < full {
        return out.push(first | u8::try_from(value).unwrap());
    }
    out.push(first | u8::try_from(full).unwrap());
    let mut rest = value - full;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn string(text: &str, huffman: bool, out: &mut Vec<u8>) {
    let coded = if huffman { coded(text.as_bytes()) } else { text.as_bytes().to_vec() };
    integer(coded.len(), 7, if huffman { 0x80 } else { 0 }, out);
    out.extend(coded);
}

/// Huffman coded, bit by bit.
pub(super) fn coded(bytes: &[u8]) -> Vec<u8> {
    let code = |symbol: u8| {
        let length = LENGTHS[usize::from(symbol)];
        // Each code is one more than the one before it, longer ones with zeros behind.
        let before = (0..257_usize).filter(|s| (LENGTHS[*s], *s) < (length, usize::from(symbol)));
        let code: u64 = before.map(|s| 1_u64 << (length - LENGTHS[s])).sum();
        (0..length).rev().map(move |bit| code >> bit & 1 == 1)
    };
    let mut bits: Vec<bool> = bytes.iter().flat_map(|byte| code(*byte)).collect();
    bits.resize(bits.len().next_multiple_of(8), true);
    bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

fn how() -> impl Strategy<Value = How> {
    let names = prop_oneof![Just(NameFrom::Static), Just(NameFrom::Dynamic), Just(NameFrom::Literal)];
    let representations = prop_oneof![3 => Just(0x40), 1 => Just(0x00), 1 => Just(0x10)];
    (prop::bool::weighted(0.8), representations, names, any::<bool>())
        .prop_map(|(indexed, representation, name, huffman)| How { indexed, representation, name, huffman })
}

/// Messages as HTTP has them: pseudo-header fields first, none twice; few values, so that indexes are used.
fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    const REGULAR: [(&str, &[&str]); 7] = [
        ("content-type", &["application/grpc", "application/grpc+proto", "text/html"]),
        ("grpc-status", &["0", "5", "14"]),
        ("grpc-timeout", &["1S", "20m", "999641u", "999873u"]),
        ("te", &["trailers"]),
        ("user-agent", &["grpc-go/1.68.0", "tonic/0.12.3"]),
        ("grpc-message", &["", "not found"]),
        ("x-request", &["a", "bb", "0123456789012345678901234567890123456789"]),
    ];
    const PATHS: [&str; 6] =
        ["/", "/a.B/C", "/a.B/D", "/helloworld.Greeter/SayHello", "/x.Y/Zé", "/route.Guide/ListFeatures"];
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let request = (prop::sample::select(&PATHS[..]), any::<bool>()).prop_map(move |(path, path_first)| {
        let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":authority", "guide:50051")];
        fields.insert(if path_first { 0 } else { 2 }, (":path", path));
        fields.into_iter().map(pair).collect()
    });
    let response =
        prop::sample::select(&["200", "404", "103"][..]).prop_map(move |status| vec![pair((":status", status))]);
    let pseudo = prop_oneof![3 => request, 2 => response, 2 => Just(Vec::new())];
    let chosen = prop::sample::subsequence(&REGULAR[..], 0..=REGULAR.len()).prop_shuffle();
    (pseudo, chosen, any::<usize>()).prop_map(
        move |(mut fields, chosen, value): (Vec<_>, Vec<(&str, &[&str])>, usize)| {
            fields.extend(chosen.iter().map(|(name, values)| pair((name, values[value % values.len()]))));
            fields
        },
    )
}

/// Blocks of one sender that stays within 4,096 bytes.
pub(super) fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let sizes = prop_oneof![
        12 => Just(Vec::new()),
        1 => prop::collection::vec(prop_oneof![Just(0_u32), Just(60), Just(200), 0..=4096_u32], 1..3),
    ];
    let plan = (sizes, fields(), prop::collection::vec(how(), 11)).prop_map(|(sizes, fields, hows)| {
        let fields = fields.into_iter().zip(hows).collect();
        Plan { sizes, fields }
    });
    prop::collection::vec(plan, 1..60)
}
