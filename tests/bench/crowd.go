package main

import (
	"context"
	"fmt"
	"io"
	"sync"
)

const (
	// crowd is how many clients pull at once for the sake of memory, and taken how many bytes each has read when
	// all wait: the memory is taken by then.
	crowd, taken = 500, 2 << 20
)

// measureCrowd shows the most memory that pulls of many clients at once take.
func measureCrowd(ctx context.Context, hosts []*host) error {
	memory := newTable(fmt.Sprintf("## Memory: %d clients pull a blob at once", crowd), "blob of", "over", "ours", "stock")
	for _, blob := range []struct {
		name string
		size int
	}{{"64 MiB", large}, {"10 GiB", endless}} {
		for _, secure := range []bool{false, true} {
			row := []string{blob.name, map[bool]string{false: "HTTP", true: "TLS"}[secure]}
			for _, s := range hosts {
				if !s.manifests {
					continue // servers of files need no measuring
				}
				say("memory of %s", s.name)
				peak, err := s.crowd(ctx, secure, blob.size)
				if err != nil {
					return fmt.Errorf("cannot pull from %s: %w", s.name, err)
				}
				row = append(row, mebibytes(peak))
			}
			memory.add(row...)
		}
	}
	memory.print()
	return nil
}

func (s *host) crowd(ctx context.Context, secure bool, size int) (int, error) {
	server := s.plain
	if secure {
		server = s.secure
	}
	if err := server.forgetPeak(); err != nil {
		return 0, err
	}
	conns := make([]*puller, crowd)
	for i := range conns {
		var err error
		if conns[i], err = dial(ctx, server.address, secure, s.blob(s.blobs[size])); err != nil {
			return 0, err
		}
		defer func() { _ = conns[i].Close() }()
	}
	errs := make([]error, crowd)
	var clients sync.WaitGroup
	for i, conn := range conns {
		clients.Go(func() {
			_, errs[i] = conn.Write(conn.request)
			if errs[i] == nil {
				_, errs[i] = io.CopyN(io.Discard, conn, taken)
			}
		})
	}
	clients.Wait()
	if err := first(errs); err != nil {
		return 0, err
	}
	return server.peak()
}
