// Package keystone runs OpenStack Keystone of Debian's packages for tests, with a project and a user that
// may use an object store, and one as which the object store itself asks. What the store is, is its
// callers'.
package keystone

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"docker-registry-operator/tests/engine/process"
)

// What is made in Keystone, beside the user of the Server.
const (
	adminPassword   = "admin-secret"
	servicePassword = "service-secret"
	operatorRole    = "operator"
)

// publicAPI is the WSGI application of Debian's package.
const publicAPI = "/usr/bin/keystone-wsgi-public"

// A Server has a user in a project, both in the domain Default, and a region.
type Server struct {
	// URL is where a client authenticates, of version 3.
	URL string
	// User and Password are what a client authenticates with, for Project.
	User, Password string
	// Domain is that of the user and of the project, Region that of the object store.
	Project, ProjectID, Domain, Region string

	dir, address string
	server       *process.Process
}

// Missing names the programs that this machine lacks of those that Start runs.
func Missing() []string {
	var missing []string
	for _, program := range []string{"keystone-manage", "uwsgi_python3", publicAPI} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	return missing
}

// Start runs a server with its users, and returns once it answers, which takes half a minute. The caller
// closes it.
func Start(ctx context.Context) (*Server, error) {
	addresses, err := process.Addresses(1)
	if err != nil {
		return nil, fmt.Errorf("cannot start keystone: %w", err)
	}
	dir, err := os.MkdirTemp("", "keystone-")
	if err != nil {
		return nil, fmt.Errorf("cannot start keystone: %w", err)
	}
	s := &Server{
		URL: "http://" + addresses[0] + "/v3", User: "registry", Password: "registry-secret",
		Project: "images", Domain: "Default", Region: "RegionOne", dir: dir, address: addresses[0],
	}
	if err := s.start(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot start keystone: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	if err := os.WriteFile(s.path("keystone.conf"), []byte(s.configuration()), 0o600); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	return s.populate(ctx)
}

// Start runs the server again after a Stop.
func (s *Server) Start(ctx context.Context) error {
	var err error
	s.server, err = process.Start(process.Command{
		Path: "uwsgi_python3",
		// One process without threads: SQLite's connections are not shared.
		Args: []string{
			"--http-socket", s.address, "--buffer-size", "65535", "--rem-header", "Content-Length",
			"--processes", "1", "--lazy-apps", "--die-on-term", "--wsgi-file", publicAPI,
		},
		Env: []string{"OS_KEYSTONE_CONFIG_DIR=" + s.dir},
	})
	if err != nil {
		return err
	}
	return s.server.Await(ctx, process.Answers(s.URL))
}

// Stop ends the server and keeps its data.
func (s *Server) Stop() { s.server.Stop() }

// Close ends the server and removes its data.
func (s *Server) Close() {
	s.server.Kill()
	_ = os.RemoveAll(s.dir) // of temporary files nobody depends on the removal
}

// ServiceFilter is the section of an object store's proxy that asks this server about tokens.
func (s *Server) ServiceFilter() []string {
	return []string{
		"paste.filter_factory = keystonemiddleware.auth_token:filter_factory",
		"www_authenticate_uri = " + s.URL, "auth_url = " + s.URL, "auth_type = password",
		"project_domain_id = default", "user_domain_id = default", "project_name = " + serviceName,
		"username = " + serviceUser, "password = " + servicePassword,
		"delay_auth_decision = True", "service_token_roles_required = False",
	}
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) configuration() string {
	return strings.Join([]string{
		"[DEFAULT]", "log_file = " + s.path("keystone.log"),
		"[database]", "connection = sqlite:///" + s.path("keystone.db"),
		"[token]", "provider = fernet",
		"[fernet_tokens]", "key_repository = " + s.path("fernet"),
		"[fernet_receipts]", "key_repository = " + s.path("fernet"),
		"[credential]", "key_repository = " + s.path("credential"),
		"[cache]", "enabled = false",
		"[catalog]", "driver = sql",
		// The least that bcrypt takes: it is only a test's password.
		"[identity]", "password_hash_rounds = 4", "",
	}, "\n")
}

// prepare makes the database and the keys.
func (s *Server) prepare(ctx context.Context) error {
	if err := errors.Join(s.writeKeys("fernet"), s.writeKeys("credential")); err != nil {
		return err
	}
	// Without write-ahead logging requests fail with "database is locked".
	logAhead := `import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("pragma journal_mode=wal")`
	for _, command := range [][]string{
		s.manage("db_sync"),
		{"/usr/bin/python3", "-c", logAhead, s.path("keystone.db")},
		s.manage("bootstrap", "--bootstrap-password", adminPassword, "--bootstrap-service-name", "keystone",
			"--bootstrap-public-url", s.URL, "--bootstrap-internal-url", s.URL, "--bootstrap-admin-url", s.URL,
			"--bootstrap-region-id", s.Region),
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(command[:3], " "), err, out)
		}
	}
	return nil
}

// writeKeys makes a repository of a primary and a staged Fernet key, as keystone-manage does in seconds.
func (s *Server) writeKeys(repository string) error {
	if err := os.Mkdir(s.path(repository), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"0", "1"} {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		encoded := base64.URLEncoding.EncodeToString(key)
		if err := os.WriteFile(filepath.Join(s.path(repository), name), []byte(encoded), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) manage(command string, args ...string) []string {
	return append([]string{"keystone-manage", "--config-file=" + s.path("keystone.conf"), command}, args...)
}
