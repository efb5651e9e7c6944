//! From the kernel's records to series, one element per call: what the node agent does for each call of a node. The bar is 1 M calls/s.
//!
//! - `parse`: records and their pieces, parsed; `events`: and calls tracked; `series`: and counted, which is all of it
//! - `one per record`: a record for the request and one for the response of each call; `ten per record`: ten calls in each, as under load
//!
//! The calls are those of a server in steady state: 64 connections, headers by index (grpc-go), a request of HEADERS and DATA, a response of
//! HEADERS, DATA and trailers.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fleetscope_core::records::{self, CgroupMade};
use fleetscope_core::rpc::{self, Direction, Limits, Record, RpcSeries, SeriesLimits, parse};
use fleetscope_core::tasks::tracker::{FleetView, Tracker, TrackerLimits};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::http2::{direction, start};
use fleetscope_ebpf::kind as record_kind;

const CONNECTIONS: u64 = 64;
/// Calls of a connection in a round.
const CALLS: u32 = 20;
/// The cgroup that serves.
const CGROUP: u64 = 100;
/// `:method`, `:scheme`, `:path`, `:authority`, `content-type`, `user-agent`, `te`.
const REQUEST: [u8; 7] = [0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
/// `:status`, `content-type`.
const RESPONSE: [u8; 2] = [0x88, 0xc0];
/// `grpc-status`, `grpc-message`.
const TRAILERS: [u8; 2] = [0xbf, 0xbe];

/// A frame as the kernel tells of it: kind, flags, stream, bytes of its payload, and those of them that it sends.
type Piece<'a> = (u8, u8, u32, u32, &'a [u8]);

/// What the kernel has written so far.
struct Kernel {
    /// Pieces by connection and direction.
    seq: Vec<[u64; 2]>,
    stream: u32,
    time: u64,
}

/// The node agent's state.
struct Agent {
    calls: rpc::Tracker,
    series: RpcSeries,
    tasks: Tracker,
    finished: u64,
}

// === impl Kernel ===

impl Kernel {
    fn new() -> Self {
        Self { seq: (0..CONNECTIONS).map(|_| [0; 2]).collect(), stream: 1, time: 0 }
    }

    /// A record, in the layout of `fleetscope_ebpf::http2::Http2Record`.
    fn record(&mut self, connection: u64, way: Direction, pieces: &[Piece<'_>]) -> Vec<u8> {
        let mut after = Vec::new();
        for (kind, flags, stream, length, data) in pieces {
            after.extend(stream.to_ne_bytes());
            after.extend(length.to_ne_bytes());
            let offset = if data.is_empty() { *length } else { 0 };
            after.extend(offset.to_ne_bytes());
            after.extend(u16::try_from(data.len()).expect("short").to_ne_bytes());
            after.extend([*kind, *flags]);
            after.extend(*data);
            after.resize(after.len().next_multiple_of(8), 0);
        }
        self.time += 1_000;
        let (index, way) = match way {
            Direction::Sent => (0, direction::SENT),
            Direction::Received => (1, direction::RECEIVED),
        };
        let seq = &mut self.seq[usize::try_from(connection).expect("few")][index];
        let mut bytes = Vec::new();
        bytes.extend(record_kind::HTTP2.to_ne_bytes());
        bytes.extend([0; 6]);
        for word in [self.time, CGROUP, connection + 1, *seq] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(99_u32.to_ne_bytes());
        bytes.extend(u32::try_from(after.len()).expect("short").to_ne_bytes());
        bytes.extend(u16::try_from(pieces.len()).expect("few").to_ne_bytes());
        bytes.extend([way, start::PREFACE, 0, 0, 0, 0]);
        bytes.extend(after);
        *seq += pieces.len() as u64;
        bytes
    }

    /// Both records of `streams`, with these header blocks.
    fn calls(&mut self, connection: u64, streams: &[u32], blocks: [&[u8]; 3]) -> [Vec<u8>; 2] {
        let [request, response, trailers] = blocks;
        let last = flag::END_HEADERS | flag::END_STREAM;
        let (mut asked, mut answered) = (Vec::<Piece<'_>>::new(), Vec::<Piece<'_>>::new());
        for &stream in streams {
            asked.push((kind::HEADERS, flag::END_HEADERS, stream, length(request), request));
            asked.push((kind::DATA, flag::END_STREAM, stream, 92, &[]));
            answered.push((kind::HEADERS, flag::END_HEADERS, stream, length(response), response));
            answered.push((kind::DATA, 0, stream, 5, &[]));
            answered.push((kind::HEADERS, last, stream, length(trailers), trailers));
        }
        [self.record(connection, Direction::Received, &asked), self.record(connection, Direction::Sent, &answered)]
    }

    /// The first call of each connection, which fills the header tables.
    fn open(&mut self) -> Vec<Vec<u8>> {
        let inserted = |fields: &[(&str, &str)]| -> Vec<u8> {
            fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
        };
        let mut request = vec![0x83, 0x86];
        request.extend(inserted(&[
            (":path", "/routeguide.RouteGuide/GetFeature"),
            (":authority", "peer:80"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-go/1.80.0"),
            ("te", "trailers"),
        ]));
        let mut response = vec![0x88];
        response.extend(inserted(&[("content-type", "application/grpc")]));
        let trailers = inserted(&[("grpc-status", "0"), ("grpc-message", "")]);
        let open = |connection| self.calls(connection, &[1], [&request, &response, &trailers]);
        (0..CONNECTIONS).flat_map(open).collect()
    }

    /// A round of calls of all connections, `each` in a record.
    fn round(&mut self, each: u32) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for _ in 0..CALLS / each {
            let streams: Vec<u32> = (1..=each).map(|n| self.stream + 2 * n).collect();
            self.stream += 2 * each;
            for connection in 0..CONNECTIONS {
                records.extend(self.calls(connection, &streams, [&REQUEST, &RESPONSE, &TRAILERS]));
            }
        }
        records
    }
}

// === impl Agent ===

impl Agent {
    /// One whose connections are `kernel`'s.
    fn new(kernel: &mut Kernel) -> Self {
        let fleet = FleetView { name: "host".to_owned(), ..FleetView::default() };
        let mut tasks = Tracker::standalone(TrackerLimits::default(), fleet);
        let made = CgroupMade { time: 1, cgroup: CGROUP, parent: 1, path: Some(b"/agent.service"), verdict: Some(5) };
        tasks.handle(records::Record::CgroupMade(made), 1);
        let (calls, series) = (rpc::Tracker::new(Limits::default()), RpcSeries::new(SeriesLimits::default()));
        let mut this = Self { calls, series, tasks, finished: 0 };
        for record in kernel.open() {
            this.events(&record, true);
        }
        assert_eq!(this.finished, CONNECTIONS, "the first calls are understood");
        this
    }

    fn events(&mut self, bytes: &[u8], counted: bool) {
        let Self { calls, series, tasks, finished } = self;
        let record = parse(bytes).expect("the record is sound");
        calls.handle(&record, 2, &mut |event| {
            *finished += u64::from(matches!(event, rpc::Event::Finished(_)));
            if counted {
                series.handle(&event, tasks, 2);
            } else {
                black_box(event);
            }
        });
    }
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("short")
}

/// A field that is inserted into the table, in plain text.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x40];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("below 127"));
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rpc");
    group.throughput(Throughput::Elements(CONNECTIONS * u64::from(CALLS)));
    for (name, each) in [("one per record", 1), ("ten per record", 10)] {
        group.bench_function(format!("parse, {name}"), |bencher| {
            let records = Kernel::new().round(each);
            bencher.iter(|| {
                for bytes in &records {
                    let Ok(Record::Frames(frames)) = parse(black_box(bytes)) else {
                        unreachable!("the record is sound")
                    };
                    for piece in frames.pieces() {
                        black_box(piece);
                    }
                }
            });
        });
        for (what, counted) in [("events", false), ("series", true)] {
            let mut kernel = Kernel::new();
            let mut agent = Agent::new(&mut kernel);
            let (mut rounds, before) = (0, agent.finished);
            group.bench_function(format!("{what}, {name}"), |bencher| {
                bencher.iter_batched_ref(
                    || kernel.round(each),
                    |records| {
                        rounds += 1;
                        for record in records {
                            agent.events(black_box(record), counted);
                        }
                    },
                    BatchSize::LargeInput,
                );
            });
            assert_eq!(agent.finished - before, rounds * CONNECTIONS * u64::from(CALLS), "every call is seen to end");
        }
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
