package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rounds is how often both registries do each work, turn by turn, and period for how long.
	rounds = 5
	period = time.Second

	small, middle, large, endless = 64 << 10, 1 << 20, 64 << 20, 10 << 30
	pushed, layer                 = 4 << 10, 16 << 20

	repository   = "/v2/bench/images"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// A workload is what several clients do over and over. It counts what was done: bytes of blobs,
// otherwise requests.
type workload struct {
	name, unit string
	scale      float64 // what one unit is worth
	clients    int
	do         func(ctx context.Context, c *http.Client, s *server, done *atomic.Int64) error
}

func workloads() []workload {
	var all []workload
	for _, clients := range []int{1, 8, 32} {
		for _, size := range []int{small, middle, large} {
			all = append(all, pullOf(size, clients))
		}
		all = append(all, workload{"pull of a manifest by tag", "/s", 1, clients, fetchManifest}, pushOf4KiB(clients))
	}
	return append(all, pushOf16MiB(1), pushOf16MiB(8))
}

// pullOf is about a blob that fill made.
func pullOf(size, clients int) workload {
	name := fmt.Sprintf("pull of a %s blob", map[int]string{small: "64 KiB", middle: "1 MiB", large: "64 MiB"}[size])
	return workload{name, "MB/s", 1e6, clients,
		func(ctx context.Context, c *http.Client, s *server, done *atomic.Int64) error {
			return fetch(ctx, c, s.url+repository+"/blobs/"+s.blobs[size], done)
		}}
}

func pushOf4KiB(clients int) workload {
	return workload{"push of a 4 KiB blob", "/s", 1, clients,
		func(ctx context.Context, c *http.Client, s *server, done *atomic.Int64) error {
			_, err := push(ctx, c, s, pushed)
			done.Add(1)
			return err
		}}
}

func pushOf16MiB(clients int) workload {
	return workload{"push of a 16 MiB blob", "MB/s", 1e6, clients,
		func(ctx context.Context, c *http.Client, s *server, done *atomic.Int64) error {
			_, err := push(ctx, c, s, layer)
			done.Add(layer)
			return err
		}}
}

// compare has both registries do the work in turns. The ratio is the median of the rounds' own.
func compare(ctx context.Context, w workload, servers [2]*server) ([]string, error) {
	say("%s, %d clients", w.name, w.clients)
	var rates [2][]float64
	var peaks [2]int
	var ratios []float64
	for range rounds {
		for i, s := range servers {
			rate, err := w.run(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("cannot measure %s with %s: %w", w.name, s.name, err)
			}
			peak, err := s.peak()
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], rate)
			peaks[i] = max(peaks[i], peak)
		}
		last := len(ratios)
		ratios = append(ratios, rates[0][last]/rates[1][last])
	}
	show := func(rates []float64) string { return fmt.Sprintf("%.0f %s", median(rates)/w.scale, w.unit) }
	return []string{
		w.name, fmt.Sprint(w.clients), show(rates[0]), show(rates[1]), ratio(median(ratios)),
		mebibytes(peaks[0]), mebibytes(peaks[1]),
	}, nil
}

// run returns what was done in a second.
func (w workload) run(ctx context.Context, s *server) (float64, error) {
	if err := s.forgetPeak(); err != nil {
		return 0, err
	}
	client := s.client(w.clients)
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, period)
	defer cancel()
	var done atomic.Int64
	var clients sync.WaitGroup
	errs := make([]error, w.clients)
	begin := time.Now()
	for i := range errs {
		clients.Go(func() {
			for errs[i] == nil && ctx.Err() == nil {
				errs[i] = w.do(ctx, client, s, &done)
			}
			if ctx.Err() != nil {
				errs[i] = nil // the period was over
			}
		})
	}
	<-ctx.Done()
	rate := float64(done.Load()) / time.Since(begin).Seconds()
	clients.Wait()
	return rate, errors.Join(errs...)
}

// fill gives a registry what is pulled from it.
func (s *server) fill(ctx context.Context) error {
	client := s.client(1)
	defer client.CloseIdleConnections()
	var err error
	for _, size := range []int{small, middle, large} {
		if s.blobs[size], err = push(ctx, client, s, size); err != nil {
			return err
		}
	}
	blob := func(size int) map[string]any {
		return map[string]any{"mediaType": "application/octet-stream", "digest": s.blobs[size], "size": size}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": blob(small), "layers": []any{blob(small), blob(middle), blob(large)},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+repository+"/manifests/latest", bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", manifestType)
	_, err = exchange(client, request, http.StatusCreated)
	return err
}

// push uploads a random blob at once and returns its digest.
func push(ctx context.Context, c *http.Client, s *server, size int) (string, error) {
	blob := make([]byte, size)
	_, _ = rand.Read(blob) // it never fails
	sum := sha256.Sum256(blob)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+repository+"/blobs/uploads/", nil)
	if err != nil {
		return "", err
	}
	response, err := exchange(c, request, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	place, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodPut, s.url+place.RequestURI()+"&digest="+digest, bytes.NewReader(blob))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	_, err = exchange(c, request, http.StatusCreated)
	return digest, err
}

func exchange(c *http.Client, request *http.Request, want int) (*http.Response, error) {
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return response, nil
}

// fetch adds the bytes that it pulls to done as they come.
func fetch(ctx context.Context, c *http.Client, address string, done *atomic.Int64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	buffer := make([]byte, small)
	for {
		n, err := response.Body.Read(buffer)
		done.Add(int64(n))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func fetchManifest(ctx context.Context, c *http.Client, s *server, done *atomic.Int64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+repository+"/manifests/latest", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", manifestType)
	_, err = exchange(c, request, http.StatusOK)
	done.Add(1)
	return err
}

// manifest returns the digest of what fetchManifest fetches.
func (s *server) manifest(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, s.url+repository+"/manifests/latest", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", manifestType)
	response, err := exchange(http.DefaultClient, request, http.StatusOK)
	if err != nil {
		return "", err
	}
	return response.Header.Get("Docker-Content-Digest"), nil
}
