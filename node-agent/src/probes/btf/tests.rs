use proptest::prelude::*;

use super::*;

/// Writes BTF as a compiler would.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Writer {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// One type; returns its id.
    fn add(&mut self, name: &str, info: u32, size_or_target: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        self.words(&[name, info, size_or_target]);
        self.words(rest);
        self.count += 1;
        self.count
    }

    fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, kind::INT << 24, size, &[0])
    }

    fn refer(&mut self, name: &str, kind: u32, to: u32) -> u32 {
        self.add(name, kind << 24, to, &[])
    }

    /// Members are (name, type, offset in bits).
    fn composite(&mut self, name: &str, info: u32, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let entries = u32::try_from(members.len()).unwrap();
        let rest: Vec<u32> = members.iter().flat_map(|(name, of, bits)| [self.string(name), *of, *bits]).collect();
        self.add(name, info | entries, size, &rest)
    }

    fn finish(&self) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut all = Vec::new();
        all.extend(MAGIC.to_ne_bytes());
        all.extend([1, 0]);
        for word in [24, 0, len(&self.types), len(&self.types), len(&self.strings)] {
            all.extend(word.to_ne_bytes());
        }
        all.extend(&self.types);
        all.extend(&self.strings);
        all
    }
}

/// `struct inner { u32 low; }`, `struct outer { u64 first; union { struct { char name[16]; struct inner in; }; }; struct outer *self; }`,
/// `struct bits { u32 a : 3, b; }`, and the tracepoint `t(void *, struct outer *, bool)`.
fn sample() -> Vec<u8> {
    let mut w = Writer::new();
    let (u64_, u32_, char_, bool_) = (w.int("u64", 8), w.int("u32", 4), w.int("char", 1), w.int("_Bool", 1));
    let name = w.add("", kind::ARRAY << 24, 0, &[char_, u32_, 16]);
    let inner = w.composite("inner", kind::STRUCT << 24, 4, &[("low", u32_, 0)]);
    let alias = w.refer("inner_t", kind::TYPEDEF, inner);
    let constant = w.refer("", kind::CONST, alias);
    let anonymous = w.composite("", kind::STRUCT << 24, 20, &[("name", name, 0), ("in", constant, 128)]);
    let either = w.composite("", kind::UNION << 24, 20, &[("", anonymous, 0)]);
    let pointer = w.refer("", kind::PTR, 13);
    let void = w.refer("", kind::PTR, 0);
    let outer =
        w.composite("outer", kind::STRUCT << 24, 40, &[("first", u64_, 0), ("", either, 64), ("self", pointer, 256)]);
    assert_eq!(outer, 13);
    w.composite("bits", kind::STRUCT << 24 | 1 << 31, 4, &[("a", u32_, 3 << 24), ("b", u32_, 32)]);
    let prototype = w.add("", kind::FUNC_PROTO << 24 | 3, 0, &[0, void, 0, pointer, 0, bool_]);
    let function = w.refer("", kind::PTR, prototype);
    w.refer("btf_trace_t", kind::TYPEDEF, function);
    w.finish()
}

#[test]
fn members_are_found_through_anonymous_structures_typedefs_and_modifiers() {
    let btf = Btf::parse(sample()).unwrap();
    for (path, offset, size) in [
        ("outer.first", 0, 8),
        ("outer.name", 8, 16),
        ("outer.in", 24, 4),
        ("outer.in.low", 24, 4),
        ("outer.self", 32, 8),
        ("inner.low", 0, 4),
        ("bits.b", 4, 4),
    ] {
        assert_eq!(btf.member(path).unwrap(), Member { offset, size }, "{path}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let btf = Btf::parse(sample()).unwrap();
    let text = |path| btf.member(path).unwrap_err().to_string();
    assert_eq!(text("nobody.x"), "this kernel has no structure nobody");
    assert_eq!(text("outer.x"), "this kernel has no member outer.x");
    assert_eq!(text("outer"), "this kernel has no member outer");
    assert_eq!(text("outer.first.x"), "this kernel has no member outer.first.x");
    assert_eq!(text("bits.a"), "member bits.a is a bit field in this kernel");
    assert_eq!(btf.tracepoint("u").unwrap_err().to_string(), "this kernel has no tracepoint u");
}

#[test]
fn a_tracepoint_shows_its_arguments_without_the_context() {
    assert_eq!(Btf::parse(sample()).unwrap().tracepoint("t").unwrap(), ["*outer", "_Bool"]);
}

#[test]
fn structures_that_contain_themselves_or_share_anonymous_ones_end_in_an_error() {
    let mut w = Writer::new();
    w.composite("loop", kind::STRUCT << 24, 8, &[("", 1, 0)]);
    w.refer("chain", kind::TYPEDEF, 2);
    // Each level has the next one twice: 2^30 visits without a bound.
    let first = w.count + 1;
    for i in 0..30 {
        let next = first + i + 1;
        w.composite(if i == 0 { "wide" } else { "" }, kind::STRUCT << 24, 8, &[("", next, 0), ("", next, 0)]);
    }
    w.composite("", kind::STRUCT << 24, 8, &[]);
    let btf = Btf::parse(w.finish()).unwrap();
    assert!(matches!(btf.member("loop.x"), Err(BtfError::Depth { .. })));
    assert!(matches!(btf.member("wide.x"), Err(BtfError::Depth { .. })));
}

#[test]
fn the_running_kernel_has_what_every_kernel_has() {
    // Where it has no BTF, nothing of the agent's programs runs either.
    let Ok(btf) = Btf::read(Path::new("/sys/kernel/btf/vmlinux")) else { return };
    assert_eq!(btf.member("task_struct.comm").unwrap().size, 16);
    assert_eq!(btf.member("task_struct.pid").unwrap().size, 4);
    assert_eq!(btf.member("mm_struct.arg_start").unwrap().size, 8);
    assert_eq!(btf.tracepoint("sched_process_exec").unwrap(), ["*task_struct", "int", "*linux_binprm"]);
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    assert_eq!(Btf::read(Path::new("/no/btf")).unwrap_err().to_string(), "failed to read BTF /no/btf");
}

/// Asks everything that the agent asks; the answers do not matter, that there are some does.
fn ask(bytes: Vec<u8>) {
    if let Ok(btf) = Btf::parse(bytes) {
        for path in ["outer.first", "outer.name", "outer.in.low", "bits.a", "x.y", "inner"] {
            let _ = btf.member(path);
        }
        let _ = btf.tracepoint("t");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        ask(bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_valid_header_never_panic(words in proptest::collection::vec(any::<u32>(), 0..200)) {
        let writer = Writer { types: words.iter().flat_map(|word| word.to_ne_bytes()).collect(), strings: vec![0], count: 0 };
        ask(writer.finish());
    }

    #[test]
    fn truncated_btf_never_panics(len in 0..sample().len()) {
        ask(sample()[..len].to_vec());
    }

    #[test]
    fn damaged_btf_never_panics(changes in proptest::collection::vec((0..sample().len(), any::<u8>()), 1..8)) {
        let mut bytes = sample();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        ask(bytes);
    }
}
