// Package s3 runs versitygw for tests: an S3 server that keeps buckets as directories and objects as
// files. Who asks it for what is its callers'.
package s3

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"docker-registry-operator/tests/engine/process"
)

// Options say how the server is to be.
type Options struct {
	// Launcher runs the server's program with its arguments behind its own, as faketime does.
	Launcher []string
	// Certificate and Key are the paths of PEM files; with them the server speaks only TLS.
	Certificate, Key string
}

// A Server keeps its buckets until it is closed.
type Server struct {
	// Address is the TCP address of the server.
	Address string
	// Endpoint is the URL of the server.
	Endpoint string
	// Region, AccessKey and SecretKey are what a client needs beside it.
	Region, AccessKey, SecretKey string

	dir     string
	command process.Command
	server  *process.Process
}

// Start builds the program if need be, runs it, and returns once it takes connections. The caller closes
// it.
func Start(ctx context.Context, options Options) (*Server, error) {
	program, err := Program(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot start versitygw: %w", err)
	}
	addresses, err := process.Addresses(1)
	if err != nil {
		return nil, fmt.Errorf("cannot start versitygw: %w", err)
	}
	dir, err := os.MkdirTemp("", "versitygw-")
	if err != nil {
		return nil, fmt.Errorf("cannot start versitygw: %w", err)
	}
	s := &Server{
		Address: addresses[0], Endpoint: "http://" + addresses[0], dir: dir,
		Region: "us-east-1", AccessKey: "registry-key", SecretKey: "registry-secret",
	}
	arguments := append(options.Launcher, program, "--port", s.Address, "--region", s.Region)
	if options.Certificate != "" {
		s.Endpoint = "https://" + s.Address
		arguments = append(arguments, "--cert", options.Certificate, "--key", options.Key)
	}
	s.command = process.Command{
		Path: arguments[0], Args: append(arguments[1:], "posix", dir),
		Env: []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
	}
	if err := s.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start runs the server again after a Stop or a Kill.
func (s *Server) Start(ctx context.Context) error {
	var err error
	if s.server, err = process.Start(s.command); err != nil {
		return err
	}
	return s.server.Await(ctx, process.Accepts(s.Address))
}

// Stop ends the server and keeps its data.
func (s *Server) Stop() { s.server.Stop() }

// Kill kills the server and keeps its data.
func (s *Server) Kill() { s.server.Kill() }

// Close ends the server and removes its data.
func (s *Server) Close() {
	s.server.Kill()
	_ = os.RemoveAll(s.dir) // of temporary files nobody depends on the removal
}

// MakeBucket makes an empty bucket.
func (s *Server) MakeBucket(name string) error {
	if err := os.Mkdir(s.Path(name), 0o755); err != nil {
		return fmt.Errorf("cannot make bucket %s: %w", name, err)
	}
	return nil
}

// Path is where the server keeps a bucket or, with a key, an object.
func (s *Server) Path(bucket string, key ...string) string {
	return filepath.Join(append([]string{s.dir, bucket}, key...)...)
}
