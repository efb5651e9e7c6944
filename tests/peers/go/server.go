package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// How long calls may go on after the end was asked for.
const grace = 5 * time.Second

var served atomic.Int64

func serve(listen string, secure bool, settle int, lines <-chan string) error {
	network, address := "tcp", listen
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	account := newAccount("server")
	if settle > 0 {
		account.calls = make(chan struct{}, settle)
		go account.settle(settle, output)
	}
	options := []grpc.ServerOption{grpc.ForceServerCodec(raw{}), grpc.StatsHandler(account), grpc.MaxRecvMsgSize(maxMessage)}
	if secure {
		config, err := selfSigned()
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&description, nil)
	if network == "unix" {
		fmt.Println("listening unix:" + address)
	} else {
		fmt.Println("listening", listener.Addr())
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	for {
		select {
		case err := <-failed:
			return err
		case line, more := <-lines:
			if more && line == "account" {
				account.print(output)
			}
			if !more {
				forced := time.AfterFunc(grace, server.Stop)
				server.GracefulStop()
				forced.Stop()
				account.print(output)
				return nil
			}
		}
	}
}

var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}, {MethodName: "Unary2", Handler: unary},
		{MethodName: "Unary3", Handler: unary}, {MethodName: "Unary4", Handler: unary}, {MethodName: "Unary5", Handler: unary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "ClientStream", Handler: clientStream, ClientStreams: true},
		{StreamName: "ServerStream", Handler: serverStream, ServerStreams: true},
		{StreamName: "Bidi", Handler: bidi, ClientStreams: true, ServerStreams: true},
	},
}

func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	d, err := parse(request)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	if err := d.end(ctx); err != nil {
		return nil, err
	}
	response := body(d.bytes)
	return &response, nil
}

func clientStream(_ any, stream grpc.ServerStream) error {
	d, err := first(stream)
	if err != nil {
		return err
	}
	for more := true; more; {
		if more, err = next(stream); err != nil {
			return err
		}
	}
	if err := d.begin(stream.Context()); err != nil {
		return err
	}
	if err := d.end(stream.Context()); err != nil {
		return err
	}
	return d.respond(stream)
}

func serverStream(_ any, stream grpc.ServerStream) error {
	d, err := first(stream)
	if err != nil {
		return err
	}
	if err := d.begin(stream.Context()); err != nil {
		return err
	}
	for range d.messages {
		if err := d.respond(stream); err != nil {
			return err
		}
	}
	return d.end(stream.Context())
}

func bidi(_ any, stream grpc.ServerStream) error {
	d, err := first(stream)
	if err != nil {
		return err
	}
	if err := d.begin(stream.Context()); err != nil {
		return err
	}
	for more := true; more; {
		if err := d.respond(stream); err != nil {
			return err
		}
		if more, err = next(stream); err != nil {
			return err
		}
	}
	return d.end(stream.Context())
}

func first(stream grpc.ServerStream) (directive, error) {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return directive{}, err
	}
	d, err := parse(request)
	if err != nil {
		err = status.Error(codes.InvalidArgument, err.Error())
	}
	return d, err
}

// next tells whether there was one more request before the client's half-close.
func next(stream grpc.ServerStream) (bool, error) {
	var request []byte
	err := stream.RecvMsg(&request)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

// === impl directive, on a server

// begin waits, and sends the response's headers; or fails without them.
func (d directive) begin(ctx context.Context) error {
	if err := wait(ctx, d.delayMS); err != nil {
		return err
	}
	head := metadata.MD{}
	if d.metadataBytes > 0 {
		head.Set("x-fill", fill(int(served.Add(1)), d.metadataBytes))
	}
	if d.failsAtOnce() {
		if err := grpc.SetTrailer(ctx, head); err != nil {
			return err
		}
		return d.outcome()
	}
	return grpc.SendHeader(ctx, head)
}

func (d directive) respond(stream grpc.ServerStream) error {
	response := body(d.bytes)
	return stream.SendMsg(&response)
}

func (d directive) end(ctx context.Context) error {
	if err := wait(ctx, d.endDelayMS); err != nil {
		return err
	}
	return d.outcome()
}

func (d directive) outcome() error {
	if d.status == 0 {
		return nil
	}
	return status.Error(codes.Code(d.status), "as asked for")
}

func wait(ctx context.Context, ms int) error {
	if ms == 0 {
		return nil
	}
	select {
	case <-time.After(milliseconds(ms)):
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
