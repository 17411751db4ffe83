package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"docker-registry-operator/tests/engine/s3"
	"docker-registry-operator/tests/engine/swift"
)

// huge is the size of the blob whose push shows what memory an upload takes, in bytes.
const huge = 1 << 30

// pushes is how often each registry takes it.
const pushes = 3

// a backend is a kind of storage, with the driver's part of a configuration that keeps images
// in a place of that name.
type backend struct {
	name    string
	peer    string // the program to compare with
	storage func(place string) string
}

// measureStorage compares registries on storage that units share: with the stock one on S3, and with
// version 2 on Swift, which no later one has a driver for.
func measureStorage(ctx context.Context, ours, stock, version2 string) error {
	objects, err := s3.Start(ctx, s3.Options{})
	if err != nil {
		return err
	}
	defer objects.Close()
	if err := objects.MakeBucket("images"); err != nil {
		return err
	}
	store, err := swift.Start(ctx, swift.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	costs := newTable("## Storage that units share",
		"storage", "what", "clients", "ours", "peer", "ours : peer", "memory ours", "memory peer")
	for _, b := range []backend{
		{"S3", stock, func(place string) string {
			return fmt.Sprintf("s3: {regionendpoint: %q, region: %s, bucket: images, forcepathstyle: true, secure: false, "+
				"accesskey: %s, secretkey: %s, rootdirectory: /%s}",
				objects.Endpoint, objects.Region, objects.AccessKey, objects.SecretKey, place)
		}},
		{"Swift", version2, func(place string) string {
			return fmt.Sprintf("swift: {authurl: %q, username: %q, password: %s, container: %s}",
				store.AuthURL, store.User, store.Password, place)
		}},
	} {
		if err := b.measure(ctx, ours, costs); err != nil {
			return err
		}
	}
	costs.print()
	return nil
}

func (b backend) measure(ctx context.Context, ours string, costs *table) error {
	var servers [2]*server
	for i, program := range []string{ours, b.peer} {
		s, _, err := startServer(ctx, program, b.storage([]string{"ours", "peer"}[i]))
		if err == nil {
			defer func() { _ = s.close() }()
			err = s.fill(ctx)
		}
		if err != nil {
			return err
		}
		servers[i] = s
	}
	for _, w := range []workload{
		pullOf(small, 8), pullOf(middle, 8), pullOf(large, 1), {"pull of a manifest by tag", "/s", 1, 8, fetchManifest},
		pushOf4KiB(1), pushOf4KiB(8),
	} {
		say("%s:", b.name)
		row, err := compare(ctx, w, servers)
		if err != nil {
			return err
		}
		costs.add(append([]string{b.name}, row...)...)
	}
	row, err := comparePush(ctx, servers)
	costs.add(append([]string{b.name}, row...)...)
	return err
}

// comparePush has both registries take a huge blob in turns.
func comparePush(ctx context.Context, servers [2]*server) ([]string, error) {
	var rates [2][]float64
	var peaks [2]int
	var ratios []float64
	for round := range pushes {
		for i, s := range servers {
			say("push of a 1 GiB blob, %s", s.name)
			if err := s.forgetPeak(); err != nil {
				return nil, err
			}
			took, err := pushHuge(ctx, s, byte(round))
			if err != nil {
				return nil, fmt.Errorf("cannot push to %s: %w", s.name, err)
			}
			rates[i] = append(rates[i], huge/took.Seconds())
			peak, err := s.peak()
			if err != nil {
				return nil, err
			}
			peaks[i] = max(peaks[i], peak)
		}
		ratios = append(ratios, rates[0][round]/rates[1][round])
	}
	show := func(rates []float64) string { return fmt.Sprintf("%.0f MB/s", median(rates)/1e6) }
	return []string{
		"push of a 1 GiB blob", "1", show(rates[0]), show(rates[1]), ratio(median(ratios)), mebibytes(peaks[0]), mebibytes(peaks[1]),
	}, nil
}

// pushHuge makes the blob while it sends it, twice the same: for its digest, and for its bytes, whose
// way it times.
func pushHuge(ctx context.Context, s *server, seed byte) (time.Duration, error) {
	blob := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{seed}), huge) }
	sum := sha256.New()
	if _, err := io.Copy(sum, blob()); err != nil {
		return 0, err
	}
	begin := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+repository+"/blobs/uploads/", nil)
	if err != nil {
		return 0, err
	}
	response, err := exchange(http.DefaultClient, request, http.StatusAccepted)
	if err != nil {
		return 0, err
	}
	place, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		return 0, err
	}
	target := s.url + place.RequestURI() + "&digest=sha256:" + hex.EncodeToString(sum.Sum(nil))
	request, err = http.NewRequestWithContext(ctx, http.MethodPut, target, blob())
	if err != nil {
		return 0, err
	}
	request.ContentLength = huge
	request.Header.Set("Content-Type", "application/octet-stream")
	_, err = exchange(http.DefaultClient, request, http.StatusCreated)
	return time.Since(begin), err
}
