package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// turns is how often each server does each work.
	turns = 3
	// tick is the unit of the times in /proc/PID/stat.
	tick = 10 * time.Millisecond
)

// A pull is work of a fixed size, whose processor time is what is measured: it is the same on a machine that does
// other things too, other than the rate.
type pull struct {
	name            string
	size            int // of a blob, 0 for a manifest
	clients, amount int
	path            func(*host) string
}

// A host serves the same images as the others, over HTTP and TLS.
type host struct {
	name          string
	plain, secure *process
	blob          func(digest string) string
	blobs         map[int]string
	manifests     bool
}

// measurePulls compares pulls with those from the stock registry and, for blobs, with what nginx and Go's net/http take for
// files.
func measurePulls(ctx context.Context, ours, stock string) error {
	hall, err := newHall(ctx, ours)
	if err != nil {
		return err
	}
	defer hall.close()
	hosts, err := hall.hosts(ctx, ours, stock)
	if err != nil {
		return err
	}
	costs := newTable("## Pulls: processor time of the server, and requests a second", "what", "clients", "over",
		"ours", "stock", "nginx", "net/http", "ours : stock", "ours : nginx", "ours : net/http",
		"ours", "stock", "nginx", "net/http")
	for _, p := range pulls() {
		for _, secure := range []bool{false, true} {
			row, err := p.compare(ctx, hosts, secure)
			if err != nil {
				return err
			}
			costs.add(row...)
		}
	}
	costs.print()
	if err := measureCrowd(ctx, hosts); err != nil {
		return err
	}
	return measureTalk(ctx, hall, ours)
}

// measureTalk compares manifests with access log and metrics with those without.
func measureTalk(ctx context.Context, hall *hall, ours string) error {
	hosts, err := hall.talkative(ctx, ours)
	if err != nil {
		return err
	}
	row, err := manifestPulls()[0].compare(ctx, hosts, false)
	if err != nil {
		return err
	}
	costs := newTable("## Access log and metrics: processor time of a manifest", "what", "clients", "over",
		"with", "without", "with : without", "with", "without")
	costs.add(row...)
	costs.print()
	return nil
}

func pulls() []pull {
	var all []pull
	for _, clients := range []int{1, 8, 64} {
		for _, blob := range []struct {
			name         string
			size, amount int
		}{{"blob of 64 KiB", small, 4_000}, {"blob of 1 MiB", middle, 500}, {"blob of 64 MiB", large, 16}} {
			all = append(all, pull{blob.name, blob.size, clients, max(blob.amount, clients), func(s *host) string { return s.blob(s.blobs[blob.size]) }})
		}
	}
	return append(all, manifestPulls()...)
}

func manifestPulls() []pull {
	manifest := func(reference string) func(*host) string {
		return func(s *host) string { return repository + "/manifests/" + reference }
	}
	return []pull{
		{"manifest by tag", 0, 8, 4_000, manifest("latest")},
		{"manifest by digest", 0, 8, 4_000, func(s *host) string { return manifest(s.blobs[0])(s) }},
	}
}

// compare measures every host that has it, in turns, and shows the medians.
func (p pull) compare(ctx context.Context, hosts []*host, secure bool) ([]string, error) {
	over := map[bool]string{false: "HTTP", true: "TLS"}[secure]
	say("%s, %d clients, %s", p.name, p.clients, over)
	costs, rates := make(map[string][]float64), make(map[string][]float64)
	for range turns {
		for _, s := range hosts {
			if p.size == 0 && !s.manifests {
				continue
			}
			cost, rate, err := p.run(ctx, s, secure)
			if err != nil {
				return nil, fmt.Errorf("cannot pull %s from %s: %w: %s%s", p.name, s.name, err, s.plain.words, s.secure.words)
			}
			costs[s.name], rates[s.name] = append(costs[s.name], cost), append(rates[s.name], rate)
		}
	}
	row := []string{p.name, strconv.Itoa(p.clients), over}
	show := func(values map[string][]float64, format func(float64) string) {
		for _, s := range hosts {
			cell := ""
			if len(values[s.name]) > 0 {
				cell = format(median(values[s.name]))
			}
			row = append(row, cell)
		}
	}
	show(costs, p.cost)
	for _, peer := range hosts[1:] {
		cell := ""
		if len(costs[peer.name]) > 0 {
			cell = ratio(median(costs[hosts[0].name]) / median(costs[peer.name]))
		}
		row = append(row, cell)
	}
	show(rates, func(rate float64) string { return fmt.Sprintf("%.0f /s", rate) })
	return row, nil
}

// cost shows seconds for a request as what is usual for its size.
func (p pull) cost(seconds float64) string {
	if p.size < middle {
		return fmt.Sprintf("%.1f us", seconds*1e6)
	}
	return fmt.Sprintf("%.3f s/GB", seconds/float64(p.size)*1e9)
}

// run returns the processor time that a request took the server, in seconds, and the rate.
func (p pull) run(ctx context.Context, s *host, secure bool) (cost, rate float64, err error) {
	server := s.plain
	if secure {
		server = s.secure
	}
	conns := make([]*puller, p.clients)
	for i := range conns {
		if conns[i], err = dial(ctx, server.address, secure, p.path(s)); err != nil {
			return 0, 0, err
		}
		defer func() { _ = conns[i].Close() }()
		if err := conns[i].pull(); err != nil { // the first includes the handshake
			return 0, 0, err
		}
	}
	before, err := server.used()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := share(conns, p.amount); err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	after, err := server.used()
	return (after - before).Seconds() / float64(p.amount), float64(p.amount) / took.Seconds(), err
}

// share has the connections pull amount times together.
func share(conns []*puller, amount int) error {
	var left atomic.Int64
	left.Store(int64(amount))
	errs := make([]error, len(conns))
	var clients sync.WaitGroup
	for i, conn := range conns {
		clients.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				errs[i] = conn.pull()
			}
		})
	}
	clients.Wait()
	return first(errs)
}

// first is one error of many that tell the same.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
