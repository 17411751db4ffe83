package host

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"docker-registry-operator/internal/desired"
)

// Client makes the machine's engine speak with the registry at c's addresses, and
// returns what the operator has to do himself. Authorities to trust are files that the
// engine reads at every connection, and so the business of [Files]; what is done here
// is plain HTTP. The addresses join insecure-registries in daemon.json, and a SIGHUP
// makes the engine read it; containers do not notice. Nothing is done for addresses
// that the engine treats so already, such as 127.0.0.1. Addresses that are no longer
// wanted are taken out again.
func (e *Engine) Client(ctx context.Context, c desired.Client) (notes []string, err error) {
	var wanted []string
	if c.Plain {
		wanted = slices.DeleteFunc(slices.Clone(c.Netlocs), loopback)
	}
	if e.config == "" {
		return e.foreignClient(ctx, wanted), nil
	}
	record, err := e.load()
	if err != nil {
		return nil, err
	}
	had := record.Insecure["client"]
	gone := slices.ContainsFunc(had, func(netloc string) bool { return !slices.Contains(wanted, netloc) })
	missing := wanted
	if len(wanted) > 0 {
		engine, err := e.daemon.info(ctx)
		if err != nil {
			return nil, err
		}
		missing = refused(engine, wanted)
	}
	if len(missing) == 0 && !gone {
		return nil, nil
	}
	next := record.clone()
	// What works without an entry of the charm's gets none.
	next.Insecure["client"] = slices.DeleteFunc(slices.Clone(wanted), func(netloc string) bool {
		return !slices.Contains(missing, netloc) && !slices.Contains(had, netloc)
	})
	return e.reach(ctx, record, next, missing)
}

// reach changes daemon.json and makes the engine read it.
func (e *Engine) reach(ctx context.Context, record, next engineRecord, missing []string) (notes []string, err error) {
	now, err := e.daemon.process()
	if err != nil {
		if len(missing) > 0 {
			return []string{byHand(missing, err.Error())}, nil
		}
		_, err = e.rewrite(ctx, record, next, now)
		return nil, err
	}
	if path := now.configFile(); path != e.config {
		if len(missing) == 0 {
			return nil, nil
		}
		return []string{byHand(missing, fmt.Sprintf("the Docker Engine reads %q", path))}, nil
	}
	if now.flag(insecureKey) && len(missing) > 0 {
		return []string{byHand(missing, "dockerd has --insecure-registry as an argument")}, nil
	}
	if _, err := e.rewrite(ctx, record, next, now); err != nil {
		return nil, err
	}
	if err := now.reload(); err != nil {
		return nil, err
	}
	e.log.Info("Docker Engine reloaded", "reason", "registries without TLS changed")
	taken := e.await(ctx, func(engine info) bool {
		missing = refused(engine, missing)
		return len(missing) == 0
	})
	if !taken {
		return []string{byHand(missing, "the Docker Engine did not take it from "+e.config)}, nil
	}
	return nil, nil
}

// await waits until an engine that was reloaded is as it should be. It says whether
// that came to be.
func (e *Engine) await(ctx context.Context, done func(info) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, e.wait.reload)
	defer cancel()
	for {
		if engine, err := e.daemon.info(ctx); err == nil && done(engine) {
			return true
		}
		if pause(ctx, e.wait.poll) != nil {
			return false
		}
	}
}

// foreignClient tells of addresses that an engine refuses that is not the charm's to
// change. One that does not answer refuses nothing.
func (e *Engine) foreignClient(ctx context.Context, wanted []string) []string {
	if len(wanted) == 0 {
		return nil
	}
	engine, err := e.daemon.info(ctx)
	if err != nil {
		return nil
	}
	if missing := refused(engine, wanted); len(missing) > 0 {
		return []string{byHand(missing, "its configuration is not the charm's")}
	}
	return nil
}

// refused are those addresses with which an engine speaks TLS only.
func refused(engine info, netlocs []string) []string {
	return slices.DeleteFunc(slices.Clone(netlocs), engine.insecure)
}

// byHand is a note of what somebody else has to do.
func byHand(netlocs []string, reason string) string {
	return fmt.Sprintf(`the local Docker Engine needs "insecure-registries": ["%s"] to use the registry without TLS (%s)`,
		strings.Join(netlocs, `", "`), reason)
}

// loopback says that every engine speaks plain HTTP with an address by itself.
func loopback(netloc string) bool {
	host, _, err := net.SplitHostPort(netloc)
	if err != nil {
		host = netloc
	}
	address := net.ParseIP(host)
	return host == "localhost" || address.To4() != nil && address.IsLoopback()
}

// configFile is the file that the engine reads.
func (p process) configFile() string {
	for i, arg := range p.args {
		if path, ok := strings.CutPrefix(arg, "--config-file="); ok {
			return path
		}
		if arg == "--config-file" && i+1 < len(p.args) {
			return p.args[i+1]
		}
	}
	return "/etc/docker/daemon.json"
}
