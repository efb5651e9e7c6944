// A gRPC server and client on grpc-go, whose own counters and clocks are the truth that Fleetscope's measurements are compared
// with. What it says and understands is in tests/peers/README.md.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"syscall"
	"time"
)

var output = os.Stdout

func main() {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	flags := flag.NewFlagSet("peer "+verb, flag.ExitOnError)
	var err error
	switch verb {
	case "server":
		listen := flags.String("listen", "127.0.0.1:0", "address, or unix:PATH")
		secure := flags.Bool("tls", false, "with a certificate of its own")
		settle := flags.Int("settle", 0, "prints the account when so many calls have ended, and `settled`; goes on until SIGTERM, whatever standard input is")
		_ = flags.Parse(os.Args[2:])
		lines := terminated()
		if *settle == 0 {
			lines = input()
		}
		err = serve(*listen, *secure, *settle, lines)
	case "client":
		p := plan{}
		flags.StringVar(&p.target, "target", "", "address, or unix:PATH")
		flags.StringVar(&p.kind, "kind", "unary", "unary, client, server, bidi, or several with commas")
		flags.StringVar(&p.status, "status", "OK", "name or number of the code to end with, or mix")
		flags.IntVar(&p.calls, "calls", 1, "calls of each kind")
		flags.IntVar(&p.concurrency, "concurrency", 1, "calls at once")
		flags.IntVar(&p.connections, "connections", 1, "connections")
		flags.IntVar(&p.methods, "methods", 1, "unary methods to use in turns, 1 to 5")
		flags.IntVar(&p.delayMS, "delay-ms", 0, "before the response")
		flags.IntVar(&p.endDelayMS, "end-delay-ms", 0, "between the last response and the end")
		flags.IntVar(&p.messages, "messages", 1, "messages of a streaming side")
		flags.IntVar(&p.bytes, "bytes", 0, "size of each message")
		flags.IntVar(&p.metadataBytes, "metadata-bytes", 0, "of the request and of the response")
		flags.IntVar(&p.deadlineMS, "deadline-ms", 0, "of each call")
		flags.IntVar(&p.cancelAfterMS, "cancel-after-ms", 0, "cancels each call after so long")
		flags.BoolVar(&p.trailersOnly, "trailers-only", false, "errors come without headers before them")
		flags.BoolVar(&p.hold, "hold", false, "a round for each line `go` on standard input")
		flags.BoolVar(&p.settle, "settle", false, "prints `settled` behind the account, and keeps its connections until SIGTERM")
		flags.BoolVar(&p.secure, "tls", false, "trusts any certificate")
		_ = flags.Parse(os.Args[2:])
		if err = p.check(); err == nil {
			err = p.run()
		}
	default:
		err = errArguments
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// input is the lines of standard input; closed at their end, and when SIGTERM arrives.
func input() <-chan string {
	read, lines := make(chan string), make(chan string)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		defer close(read)
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			read <- scanner.Text()
		}
	}()
	go func() {
		defer close(lines)
		for {
			select {
			case line, more := <-read:
				if !more {
					return
				}
				lines <- line
			case <-term:
				return
			}
		}
	}()
	return lines
}

// terminated is closed when SIGTERM arrives.
func terminated() <-chan string {
	lines, term := make(chan string), make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		close(lines)
	}()
	return lines
}

// selfSigned is a certificate that lives as long as the process.
func selfSigned() (*tls.Config, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(24 * time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}}}, nil
}
