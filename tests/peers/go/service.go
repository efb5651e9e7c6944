package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
)

const service = "fleetscope.peers.v1.Peer"

// Larger than any message that a test asks for.
const maxMessage = 64 << 20

// raw is the codec of messages that are bytes and nothing else. Without a name, so that the content type is plain application/grpc.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "" }

// directive is what the first message of a call asks of the server.
type directive struct {
	status, delayMS, endDelayMS, messages, bytes, metadataBytes int
	trailersOnly                                                int
}

// message is the directive as a line, padded to the size of the call's messages.
func (d directive) message() []byte {
	text := fmt.Sprintf("status=%d trailers_only=%d delay_ms=%d end_delay_ms=%d messages=%d bytes=%d metadata_bytes=%d\n",
		d.status, d.trailersOnly, d.delayMS, d.endDelayMS, d.messages, d.bytes, d.metadataBytes)
	return append([]byte(text), body(d.bytes-len(text))...)
}

func parse(message []byte) (d directive, err error) {
	text, _, _ := bytes.Cut(message, []byte("\n"))
	_, err = fmt.Sscanf(string(text), "status=%d trailers_only=%d delay_ms=%d end_delay_ms=%d messages=%d bytes=%d metadata_bytes=%d",
		&d.status, &d.trailersOnly, &d.delayMS, &d.endDelayMS, &d.messages, &d.bytes, &d.metadataBytes)
	return d, err
}

// failsAtOnce: the call ends with one header block, before anything was sent; a Bidi before the rest of the requests was read.
func (d directive) failsAtOnce() bool { return d.status != 0 && d.trailersOnly != 0 }

func body(n int) []byte { return bytes.Repeat([]byte("x"), max(n, 0)) }

// fill is metadata of n bytes that differs from call to call, and that Huffman coding does not make shorter.
func fill(call, n int) string {
	return (fmt.Sprint(call) + "-" + strings.Repeat("Z", n))[:n]
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// A kind of call: its name on the command line, its method, and which sides stream.
type kind struct {
	name string
	desc grpc.StreamDesc
}

var kinds = []kind{
	{"unary", grpc.StreamDesc{StreamName: "Unary"}},
	{"client", grpc.StreamDesc{StreamName: "ClientStream", ClientStreams: true}},
	{"server", grpc.StreamDesc{StreamName: "ServerStream", ServerStreams: true}},
	{"bidi", grpc.StreamDesc{StreamName: "Bidi", ClientStreams: true, ServerStreams: true}},
}
