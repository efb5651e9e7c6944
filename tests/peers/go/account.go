package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// Upper bounds in seconds; the last bucket has none.
var bounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60, 300}

// Durations kept for the percentiles of one line; later calls are counted, and in its buckets.
const maxKept = 1 << 20

var names = [17]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
	"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

type key struct{ method, status string }

type line struct {
	count   int
	sum     float64
	buckets []int
	kept    []float64
}

// account is what this program itself knows of the calls that ended. It listens to grpc-go's own events of a call.
type account struct {
	role  string
	mutex sync.Mutex
	lines map[key]*line
	calls chan struct{} // one element per call that ended, where somebody waits for them
}

func newAccount(role string) *account { return &account{role: role, lines: map[key]*line{}} }

func (a *account) add(method string, code codes.Code, duration time.Duration) {
	name, seconds := "UNKNOWN", duration.Seconds()
	if int(code) < len(names) {
		name = names[code]
	}
	bucket, _ := slices.BinarySearch(bounds, seconds)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	l := a.lines[key{method, name}]
	if l == nil {
		l = &line{buckets: make([]int, len(bounds)+1)}
		a.lines[key{method, name}] = l
	}
	l.count++
	l.sum += seconds
	l.buckets[bucket]++
	if a.calls != nil {
		select {
		case a.calls <- struct{}{}:
		default:
		}
	}
	if len(l.kept) < maxKept {
		l.kept = append(l.kept, seconds)
	}
}

// print writes the lines of all calls so far, sorted, and `end` behind them.
func (a *account) print(to io.Writer) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	out := bufio.NewWriter(to)
	defer out.Flush()
	keys := make([]key, 0, len(a.lines))
	for k := range a.lines {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y key) int { return slices.Compare([]string{x.method, x.status}, []string{y.method, y.status}) })
	for _, k := range keys {
		l := a.lines[k]
		slices.Sort(l.kept)
		fmt.Fprintf(out, "truth\t%s\t%s\t%s\t%d\t%.9f", a.role, k.method, k.status, l.count, l.sum)
		for _, n := range l.buckets {
			fmt.Fprintf(out, "\t%d", n)
		}
		fmt.Fprintf(out, "\t%.9f\t%.9f\n", percentile(l.kept, .5), percentile(l.kept, .99))
	}
	fmt.Fprintln(out, "end")
}

// settle prints the account when so many calls have ended, and `settled` behind it.
func (a *account) settle(calls int, to io.Writer) {
	for range calls {
		<-a.calls
	}
	a.print(to)
	fmt.Fprintln(to, "settled")
}

// percentile by nearest rank.
func percentile(sorted []float64, q float64) float64 {
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// === account is a stats.Handler

type times struct {
	method string
	start  time.Time
}

type timesKey struct{}

// TagRPC is the first that grpc-go does with a call: on a server right after its headers were read.
func (a *account) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, timesKey{}, &times{method: info.FullMethodName[1:], start: time.Now()})
}

func (a *account) HandleRPC(ctx context.Context, event stats.RPCStats) {
	call := ctx.Value(timesKey{}).(*times)
	switch event := event.(type) {
	case *stats.OutHeader:
		// A client's call starts when its headers go out, not when it began to wait for a place among the streams.
		if event.Client {
			call.start = time.Now()
		}
	case *stats.End:
		a.add(call.method, status.Code(event.Error), time.Since(call.start))
	}
}

func (a *account) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (a *account) HandleConn(context.Context, stats.ConnStats)                       {}
