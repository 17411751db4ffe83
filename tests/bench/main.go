// Command bench measures what docs/benchmarks.md tells and prints it as Markdown: what a hook costs,
// how long a deployment and changes take, and how the registry compares with the stock one. It
// measures real units on machines of their own; judging the figures is left to its reader.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what is measured.
type options struct {
	charm, registry, stock, version2 string
	only                             string
	files                            fileServer
}

func main() {
	var o options
	flag.StringVar(&o.charm, "charm", "", "the packed charm")
	flag.StringVar(&o.registry, "registry", "", "the registry's program")
	flag.StringVar(&o.stock, "stock", "", "the stock registry's program, of the same version of distribution")
	flag.StringVar(&o.version2, "version2", "", "the program of a registry of version 2, which has a driver for Swift")
	flag.StringVar(&o.only, "only", "", "measure just this part: unit, server, auth, pull, catalog or storage")
	flag.StringVar(&o.files.dir, "files", "", "serve the files in this directory, as the part pull has a second process do")
	flag.StringVar(&o.files.address, "address", "", "where they are served")
	flag.BoolVar(&o.files.secure, "tls", false, "whether they are served over TLS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.files.dir != "" {
		return o.files.serve()
	}
	if os.Getuid() != 0 {
		return errors.New("cannot make machines: root is needed")
	}
	fmt.Printf("%s, %d cores, %s.\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	parts := []struct {
		name    string
		measure func() error
	}{
		{"unit", func() error { return measureUnit(ctx, o.charm, o.stock) }},
		{"server", func() error { return measureServer(ctx, o.registry, o.stock) }},
		{"auth", func() error { return measureAuth(ctx, o.registry, o.stock) }},
		{"pull", func() error { return measurePulls(ctx, o.registry, o.stock) }},
		{"catalog", func() error { return measureCatalog(ctx, o.registry, o.stock) }},
		{"storage", func() error { return measureStorage(ctx, o.registry, o.stock, o.version2) }},
	}
	for _, part := range parts {
		if o.only != "" && o.only != part.name {
			continue
		}
		if err := part.measure(); err != nil {
			return err
		}
	}
	return nil
}

// say tells on standard error what is going on: it takes minutes.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// A table is printed as Markdown.
type table struct {
	title string
	rows  [][]string
}

func newTable(title string, columns ...string) *table {
	rule := slices.Repeat([]string{"---"}, len(columns))
	return &table{title: title, rows: [][]string{columns, rule}}
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print() {
	fmt.Printf("\n%s\n\n", t.title)
	for _, row := range t.rows {
		fmt.Printf("| %s |\n", strings.Join(row, " | "))
	}
}

// median is the middle one, of an even number the lower.
func median[T int | int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func mebibytes(kib int) string { return fmt.Sprintf("%.1f MiB", float64(kib)/1024) }
