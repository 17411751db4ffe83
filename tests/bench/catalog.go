package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	// repositories is how many there are in one directory, which is the worst that there can be.
	repositories = 100_000

	// settled is for how long none was made: the names in a directory that has just changed are not remembered.
	settled = 4 * time.Second

	// asks is how often each page is asked for, and reloads how often a configuration is read again.
	asks, reloads = 20, 10
)

// pages are those of the catalog that are asked for.
var pages = []struct{ name, query string }{
	{"first page of the catalog", ""},
	{"middle page", "?last=" + repositoryName(repositories/2)},
	{"last page", "?last=" + repositoryName(repositories-101)},
}

func repositoryName(number int) string { return fmt.Sprintf("image-%06d", number) }

// measureCatalog has many repositories, which both registries see.
func measureCatalog(ctx context.Context, ours, stock string) error {
	dir, err := os.MkdirTemp("", "bench-catalog-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	say("making %d repositories", repositories)
	if err := makeRepositories(filepath.Join(dir, "images")); err != nil {
		return err
	}
	time.Sleep(settled)
	socket := filepath.Join(dir, "admin.sock")
	var found [2]catalogCosts
	for i, program := range []string{ours, stock} {
		var flags []string
		if i == 0 {
			flags = []string{"--admin", socket}
		}
		if found[i], err = measureOne(ctx, program, filepath.Join(dir, "images"), flags); err != nil {
			return err
		}
	}
	costs := newTable(fmt.Sprintf("## %d repositories", repositories), "what", "ours", "stock")
	costs.add("start until `/v2/` answers", milliseconds(found[0].start), milliseconds(found[1].start))
	costs.add("first page at once after that", milliseconds(found[0].atOnce), milliseconds(found[1].atOnce))
	for i, page := range pages {
		costs.add(page.name, milliseconds(found[0].pages[i]), milliseconds(found[1].pages[i]))
	}
	costs.add("reload", milliseconds(found[0].reload), "has none")
	costs.print()
	return nil
}

func makeRepositories(root string) error {
	for number := range repositories {
		name := filepath.Join(root, "docker/registry/v2/repositories", repositoryName(number))
		for _, part := range []string{"_manifests", "_layers"} {
			if err := os.MkdirAll(filepath.Join(name, part), 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// catalogCosts are medians but for what happens once.
type catalogCosts struct {
	start, atOnce, reload time.Duration
	pages                 []time.Duration
}

func measureOne(ctx context.Context, program, images string, flags []string) (catalogCosts, error) {
	say("catalog of %s", program)
	var costs catalogCosts
	s, start, err := startServer(ctx, program, fmt.Sprintf("filesystem: {rootdirectory: %s}", images), flags...)
	if err != nil {
		return costs, err
	}
	defer func() { _ = s.close() }()
	costs.start = start
	if costs.atOnce, err = s.ask(ctx, pages[0].query); err != nil {
		return costs, err
	}
	for _, page := range pages {
		var took []time.Duration
		for range asks {
			d, err := s.ask(ctx, page.query)
			if err != nil {
				return costs, err
			}
			took = append(took, d)
		}
		costs.pages = append(costs.pages, median(took))
	}
	if len(flags) == 0 {
		return costs, nil
	}
	costs.reload, err = measureReload(ctx, flags[1])
	return costs, err
}

// ask says how long a page of the catalog takes.
func (s *server) ask(ctx context.Context, query string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v2/_catalog"+query, nil)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	_, err = exchange(http.DefaultClient, request, http.StatusOK)
	return time.Since(begin), err
}

func measureReload(ctx context.Context, socket string) (time.Duration, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	var took []time.Duration
	for range reloads {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/v1/reload", nil)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		if _, err := exchange(&http.Client{Transport: transport}, request, http.StatusOK); err != nil {
			return 0, errors.Join(errors.New("cannot reload"), err)
		}
		took = append(took, time.Since(begin))
	}
	return median(took), nil
}
