// Command registry serves an OCI registry from a configuration file of distribution. It
// turns signals, flags and exit codes into calls of registryd and leaves the rest to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"docker-registry-operator/internal/registryd"
	"docker-registry-operator/internal/registryd/footprint"
	"docker-registry-operator/internal/registryd/privilege"
)

// version is what the registry calls itself; a build may set it with -ldflags -X.
var version = "v3.1.2"

const usage = `Usage:
  registry serve [--admin SOCKET] [--user UID:GID] [--environment FILE] CONFIG.yml
  registry check CONFIG.yml
  registry version

serve runs a registry; SIGHUP makes it read CONFIG.yml again, SIGTERM and SIGINT end it.
check tells on standard error why CONFIG.yml would be refused, and opens no port.
`

// Exit codes; see docs/architecture.md.
const (
	exitOK      = 0
	exitRefused = 1
	exitUsage   = 2
)

var errUsage = errors.New("wrong usage")

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "%s\nregistry: %v\n", usage, err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "registry: %v\n", err)
		return exitRefused
	}
}

func dispatch(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command", errUsage)
	}
	command, rest := args[0], args[1:]
	switch command {
	case "serve":
		return serve(rest, stdout)
	case "check":
		_, path, err := parseFlags(rest, false)
		if err != nil {
			return err
		}
		return registryd.Check(path)
	case "version":
		_, err := fmt.Fprintln(stdout, version)
		return err
	case "help", "-h", "-help", "--help":
		return flag.ErrHelp
	default:
		return fmt.Errorf("%w: unknown command %q", errUsage, command)
	}
}

// serveFlags are the flags of registry serve.
type serveFlags struct {
	admin       string
	user        *privilege.IDs
	environment string
}

// parseFlags reads the flags, if withFlags, and the one argument behind them.
func parseFlags(args []string, withFlags bool) (serveFlags, string, error) {
	var parsed serveFlags
	set := flag.NewFlagSet("registry", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	if withFlags {
		set.StringVar(&parsed.admin, "admin", "", "")
		set.StringVar(&parsed.environment, "environment", "", "")
		set.Func("user", "", func(text string) error {
			ids, err := privilege.Parse(text)
			parsed.user = &ids
			return err
		})
	}
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return parsed, "", err
	}
	if err != nil {
		return parsed, "", fmt.Errorf("%w: %v", errUsage, err)
	}
	if set.NArg() != 1 {
		return parsed, "", fmt.Errorf("%w: want one configuration file, got %d", errUsage, set.NArg())
	}
	return parsed, set.Arg(0), nil
}

func serve(args []string, stdout io.Writer) error {
	flags, path, err := parseFlags(args, true)
	if err != nil {
		return err
	}
	if flags.user != nil {
		if err := privilege.Drop(*flags.user); err != nil {
			return err
		}
	}
	if flags.environment != "" {
		if err := setEnvironment(flags.environment); err != nil {
			return err
		}
	}
	// Before Start, so that no signal meets a process that dies of it half way.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server, err := registryd.Start(ctx, registryd.Options{
		Config: path, Admin: flags.admin, Version: version, Log: stdout,
	})
	if err != nil {
		return err
	}
	_ = footprint.Shrink() // without it the registry only takes more memory
	go func() {
		for range hangups {
			_ = server.Reload() // the server has logged why it refused and tells it by its status
		}
	}()
	return server.Wait(ctx)
}
