// Command charm is every hook and action of the charm, and, outside Juju, the same
// pipeline on a file of options: up, status, run and down.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if event := os.Getenv("JUJU_DISPATCH_PATH"); event != "" {
		return dispatch(ctx, event)
	}
	return standalone().ExecuteContext(ctx)
}
