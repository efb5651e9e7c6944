package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// How long the connections may take to be there.
const connectLimit = 30 * time.Second

// plan is the client's command line.
type plan struct {
	target, kind, status                                string
	calls, concurrency, connections, methods            int
	delayMS, endDelayMS, messages, bytes, metadataBytes int
	deadlineMS, cancelAfterMS                           int
	trailersOnly, hold, settle, secure                  bool
}

func (p *plan) run() error {
	account := newAccount("client")
	connections, err := p.connect(account)
	if err != nil {
		return err
	}
	defer func() {
		for _, connection := range connections {
			_ = connection.Close()
		}
	}()
	fmt.Fprintf(output, "connected %d\n", len(connections))
	if p.settle {
		ended := terminated()
		if err := p.round(connections, account); err != nil {
			return err
		}
		fmt.Fprintln(output, "settled")
		<-ended
		return nil
	}
	if !p.hold {
		return p.round(connections, account)
	}
	for line := range input() {
		if line == "go" {
			if err := p.round(connections, account); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) connect(account *account) ([]*grpc.ClientConn, error) {
	target := p.target
	if !strings.HasPrefix(target, "unix:") {
		target = "passthrough:///" + target
	}
	secrets := insecure.NewCredentials()
	if p.secure {
		// The server's certificate is made at its start and signed by nobody.
		secrets = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	ctx, done := context.WithTimeout(context.Background(), connectLimit)
	defer done()
	var all []*grpc.ClientConn
	for range p.connections {
		connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(secrets), grpc.WithDisableRetry(), grpc.WithNoProxy(),
			grpc.WithStatsHandler(account), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(maxMessage)))
		if err != nil {
			return nil, err
		}
		connection.Connect()
		all = append(all, connection)
	}
	for _, connection := range all {
		for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
			if !connection.WaitForStateChange(ctx, state) {
				return nil, fmt.Errorf("no connection to %s after %v: %v", p.target, connectLimit, state)
			}
		}
	}
	return all, nil
}

// round makes all calls, of each kind after the other, and prints the account.
func (p *plan) round(connections []*grpc.ClientConn, account *account) error {
	for _, name := range strings.Split(p.kind, ",") {
		kind, err := kindOf(name)
		if err != nil {
			return err
		}
		var workers sync.WaitGroup
		var taken atomic.Int64
		for worker := range p.concurrency {
			workers.Go(func() {
				for i := taken.Add(1) - 1; i < int64(p.calls); i = taken.Add(1) - 1 {
					p.call(connections[worker%len(connections)], kind, int(i))
				}
			})
		}
		workers.Wait()
	}
	account.print(output)
	return nil
}

func kindOf(name string) (kind, error) {
	for _, k := range kinds {
		if k.name == name {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("unknown kind %q", name)
}

// call makes one call. How it ended is seen by the account.
func (p *plan) call(connection *grpc.ClientConn, kind kind, i int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if p.deadlineMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, milliseconds(p.deadlineMS))
		defer cancel()
	}
	if p.cancelAfterMS > 0 {
		defer time.AfterFunc(milliseconds(p.cancelAfterMS), cancel).Stop()
	}
	if p.metadataBytes > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-fill", fill(i, p.metadataBytes))
	}
	d, method := p.directive(i), "/"+service+"/"+kind.desc.StreamName
	request := d.message()
	if kind.name == "unary" {
		if n := i%p.methods + 1; n > 1 {
			method += strconv.Itoa(n)
		}
		var response []byte
		_ = connection.Invoke(ctx, method, &request, &response)
		return
	}
	stream, err := connection.NewStream(ctx, &kind.desc, method)
	if err != nil {
		return
	}
	switch kind.name {
	case "client":
		// A server that ended the call lets sending fail; how it ended is what receiving says.
		for n := 0; n < max(d.messages, 1) && stream.SendMsg(&request) == nil; n++ {
			request = body(d.bytes)
		}
	case "server":
		_ = stream.SendMsg(&request)
	case "bidi":
		for n := 0; n < max(d.messages, 1) && stream.SendMsg(&request) == nil; n++ {
			var response []byte
			if stream.RecvMsg(&response) != nil {
				return
			}
			request = body(d.bytes)
		}
	}
	_ = stream.CloseSend()
	drain(stream)
}

func drain(stream grpc.ClientStream) {
	for {
		var response []byte
		if err := stream.RecvMsg(&response); err != nil {
			return
		}
	}
}

// directive of the i-th call. A mix goes through all codes, in turns with and without headers before the trailers.
func (p *plan) directive(i int) directive {
	d := directive{delayMS: p.delayMS, endDelayMS: p.endDelayMS, messages: p.messages, bytes: p.bytes, metadataBytes: p.metadataBytes}
	trailersOnly := p.trailersOnly
	if p.status == "mix" {
		d.status = i % len(names)
		trailersOnly = trailersOnly || i/len(names)%2 == 1
	} else {
		d.status, _ = statusOf(p.status)
	}
	if trailersOnly {
		d.trailersOnly = 1
	}
	return d
}

// statusOf a name or a number; "mix" is neither.
func statusOf(text string) (int, error) {
	for code, name := range names {
		if text == name || text == strconv.Itoa(code) {
			return code, nil
		}
	}
	return 0, fmt.Errorf("unknown status %q", text)
}

var errArguments = errors.New("see tests/peers/README.md for the command line")

func (p *plan) check() error {
	if p.status != "mix" {
		if _, err := statusOf(p.status); err != nil {
			return err
		}
	}
	if p.target == "" || p.concurrency < 1 || p.connections < 1 || p.methods < 1 || p.methods > 5 {
		return errArguments
	}
	return nil
}
