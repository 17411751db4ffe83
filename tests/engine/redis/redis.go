// Package redis runs Debian's redis-server for tests, with a password and, if wanted, TLS and a sentinel
// that watches it. What is kept in it, and who asks, is its callers'.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// Master is the name under which the sentinel watches the server.
const Master = "registry"

const program, sentinelProgram = "redis-server", "redis-sentinel"

// Options say how the server is to be.
type Options struct {
	// Certificate and Key are the paths of PEM files; with them the server speaks only TLS.
	Certificate, Key string
	// Sentinel starts a sentinel beside the server. It is not for a server with TLS.
	Sentinel bool
}

// A Server keeps its data in memory: they are gone when it is stopped.
type Server struct {
	// Address is the TCP address of the server.
	Address string
	// Password is what a client authenticates with.
	Password string
	// SentinelAddress is the TCP address of the sentinel, if there is one.
	SentinelAddress string

	dir              string
	server, sentinel *process.Process
}

// Missing names the programs that this machine lacks of those that Start runs.
func Missing() []string {
	var missing []string
	for _, name := range []string{program, sentinelProgram} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// Start runs a server, and returns once it takes connections. The caller closes it.
func Start(ctx context.Context, options Options) (*Server, error) {
	addresses, err := process.Addresses(2)
	if err != nil {
		return nil, fmt.Errorf("cannot start redis: %w", err)
	}
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		return nil, fmt.Errorf("cannot start redis: %w", err)
	}
	s := &Server{Address: addresses[0], Password: "redis-secret", dir: dir}
	err = s.write("redis.conf", s.configuration(options))
	if options.Sentinel {
		s.SentinelAddress = addresses[1]
		err = errors.Join(err, s.write("sentinel.conf", s.sentinelConfiguration()))
	}
	if err := errors.Join(err, s.Start(ctx)); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot start redis: %w", err)
	}
	return s, nil
}

// Start runs the server again after a Stop, empty.
func (s *Server) Start(ctx context.Context) error {
	var err error
	if s.server, err = run(ctx, program, filepath.Join(s.dir, "redis.conf"), s.Address); err != nil {
		return err
	}
	if s.SentinelAddress != "" {
		s.sentinel, err = run(ctx, sentinelProgram, filepath.Join(s.dir, "sentinel.conf"), s.SentinelAddress)
	}
	return err
}

func run(ctx context.Context, program, config, address string) (*process.Process, error) {
	server, err := process.Start(process.Command{Path: program, Args: []string{config}})
	if err != nil {
		return nil, err
	}
	return server, server.Await(ctx, process.Accepts(address))
}

// Stop ends the server.
func (s *Server) Stop() {
	s.sentinel.Stop()
	s.server.Stop()
}

// Close ends the server and removes what it left.
func (s *Server) Close() {
	s.sentinel.Kill()
	s.server.Kill()
	_ = os.RemoveAll(s.dir) // of temporary files nobody depends on the removal
}

func (s *Server) write(name string, lines []string) error {
	return os.WriteFile(filepath.Join(s.dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (s *Server) configuration(options Options) []string {
	host, port, _ := net.SplitHostPort(s.Address) // it is one that process made
	lines := []string{
		"bind " + host, "dir " + s.dir, `save ""`, "appendonly no", "requirepass " + s.Password,
	}
	if options.Certificate == "" {
		return append(lines, "port "+port)
	}
	return append(lines, "port 0", "tls-port "+port, "tls-auth-clients no",
		"tls-cert-file "+options.Certificate, "tls-key-file "+options.Key)
}

func (s *Server) sentinelConfiguration() []string {
	host, port, _ := net.SplitHostPort(s.SentinelAddress)
	server, serverPort, _ := net.SplitHostPort(s.Address)
	return []string{
		"bind " + host, "port " + port, "dir " + s.dir,
		fmt.Sprintf("sentinel monitor %s %s %s 1", Master, server, serverPort),
		fmt.Sprintf("sentinel auth-pass %s %s", Master, s.Password),
	}
}
