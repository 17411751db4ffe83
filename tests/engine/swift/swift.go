// Package swift runs OpenStack Swift of Debian's packages for tests: proxy, account, container and object
// server on one disk, and memcached, which keeps the tokens. It has tempauth or a Keystone for
// authentication. What is stored in it is its callers'.
package swift

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"docker-registry-operator/tests/engine/keystone"
	"docker-registry-operator/tests/engine/process"
)

// The names of what runs, beside the storage servers.
const memcached, proxy = "memcached", "proxy"

// disk is the name of the one directory that stands for a disk.
const disk = "d1"

// The account and its user with tempauth.
const account, user = "test", "tester"

// storageServers are the servers with data, which the proxy asks.
var storageServers = [...]string{"account", "container", "object"}

// Options say how the servers are to be.
type Options struct {
	// Keystone authenticates; without one tempauth does.
	Keystone *keystone.Server
	// TokenLife is how long a token of tempauth is good for, in whole seconds. The default is a day.
	TokenLife time.Duration
	// DynamicOnly leaves static large objects and bulk deletion out, as old servers do.
	DynamicOnly bool
}

// A Server keeps its objects until it is closed.
type Server struct {
	// Address is the TCP address of the proxy.
	Address string
	// AuthURL is where a client authenticates: of version 1 with tempauth, of version 3 with Keystone.
	AuthURL string
	// User and Password are what a client authenticates with.
	User, Password string

	keystone  *keystone.Server
	dir       string
	addresses map[string]string

	mu      sync.Mutex
	running map[string]*process.Process
}

// Missing names the programs that this machine lacks of those that Start runs. With Keystone these are
// also those of keystone.Missing.
func Missing() []string {
	var missing []string
	for _, program := range []string{
		"swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", memcached,
	} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	return missing
}

// Start runs the servers, and returns once they answer. The caller closes it.
func Start(ctx context.Context, options Options) (*Server, error) {
	addresses, err := process.Addresses(5)
	if err != nil {
		return nil, fmt.Errorf("cannot start swift: %w", err)
	}
	dir, err := os.MkdirTemp("", "swift-")
	if err != nil {
		return nil, fmt.Errorf("cannot start swift: %w", err)
	}
	s := &Server{
		Address: addresses[0], AuthURL: "http://" + addresses[0] + "/auth/v1.0", User: account + ":" + user,
		Password: "registry-secret", keystone: options.Keystone, dir: dir,
		running: map[string]*process.Process{},
		addresses: map[string]string{
			proxy: addresses[0], "account": addresses[1], "container": addresses[2], "object": addresses[3],
			memcached: addresses[4],
		},
	}
	if err := s.start(ctx, options); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot start swift: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, options Options) error {
	if s.keystone != nil {
		s.AuthURL, s.User, s.Password = s.keystone.URL, s.keystone.User, s.keystone.Password
		if err := s.keystone.Register(ctx, "http://"+s.Address+"/v1/AUTH_%(project_id)s"); err != nil {
			return err
		}
	}
	if err := s.writeConfiguration(options); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Start runs the servers again after a Stop or a Kill. The tokens of before are good no more.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, address := range s.addresses {
		started, err := process.Start(command(name, address, s.configFile(name)))
		if err != nil {
			return err
		}
		s.running[name] = started
	}
	for name, address := range s.addresses {
		ready := process.Answers("http://" + address + "/healthcheck")
		if name == memcached {
			ready = process.Accepts(address)
		}
		if err := s.running[name].Await(ctx, ready); err != nil {
			return err
		}
	}
	return nil
}

func command(name, address, config string) process.Command {
	if name == memcached {
		host, port, _ := net.SplitHostPort(address) // it is one that process made
		return process.Command{Path: memcached, Args: []string{"-u", "root", "-l", host, "-p", port, "-m", "16"}}
	}
	return process.Command{Path: "swift-" + name + "-server", Args: []string{config, "-v"}}
}

// Stop ends the servers and keeps their objects.
func (s *Server) Stop() { s.end((*process.Process).Stop) }

// Kill kills the servers and keeps their objects.
func (s *Server) Kill() { s.end((*process.Process).Kill) }

// Close ends the servers and removes their objects.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir) // of temporary files nobody depends on the removal
}

func (s *Server) end(how func(*process.Process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ending sync.WaitGroup
	for _, running := range s.running {
		ending.Go(func() { how(running) })
	}
	ending.Wait()
	clear(s.running)
}
