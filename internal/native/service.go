package native

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"docker-registry-operator/internal/admin"
	"docker-registry-operator/internal/desired"
)

// service is one registry process and what keeps it running. It is kept in a
// directory of its own, so that a later hook finds it.
type service struct {
	plan
	// ID tells a service from another with the same plan.
	ID string
	// Socket is the admin socket.
	Socket string
	dir    string
}

// plan is all of a service that only a successor can change.
type plan struct {
	Unit, Name   string
	Binary       string
	Args         []string // the admin socket is anySocket
	Env          []string
	User         desired.Identity
	Capabilities []string
	Mounts       []desired.Mount
	// Environment is the digest of the file of settings that the registry reads.
	Environment string
}

// anySocket stands for the admin socket, which each service has of its own.
const anySocket = "*"

// planFile holds a service in its directory.
const planFile = "service.json"

// plan is the service that runs w.
func (h *Host) plan(w desired.Workload) (plan, error) {
	digest, err := h.binaryDigest()
	if err != nil {
		return plan{}, err
	}
	return plan{
		Unit: w.Unit, Name: w.Name, Binary: h.path(binaries, "registry-"+digest[:12]),
		Args: w.Args(anySocket), Env: w.Env, User: w.User, Capabilities: w.Capabilities,
		Mounts: w.Mounts, Environment: w.EnvironmentDigest,
	}, nil
}

// equal compares two plans.
func (p plan) equal(other plan) bool { return reflect.DeepEqual(p, other) }

// arguments are those of the registry's command.
func (s service) arguments() []string {
	args := make([]string, len(s.Args))
	for i, arg := range s.Args {
		args[i] = arg
		if arg == anySocket {
			args[i] = s.Socket
		}
	}
	return args
}

func (s service) admin() admin.Client { return admin.At(s.Socket) }

// status asks the service's registry how it is.
func (s service) status(ctx context.Context) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	return s.admin().Status(ctx)
}

// retire tells the service's registry to end when it has finished its requests.
func (s service) retire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	_, err := s.admin().Retire(ctx)
	return err
}

// services are the services of a unit, running or not.
func (h *Host) services(unit string) ([]service, error) {
	files, err := filepath.Glob(h.path("native", "*", planFile))
	if err != nil {
		return nil, fmt.Errorf("cannot list services: %w", err)
	}
	var own []service
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read service: %w", err)
		}
		s := service{dir: filepath.Dir(file)}
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("cannot read service from %s: %w", file, err)
		}
		if s.Unit == unit {
			own = append(own, s)
		}
	}
	return own, nil
}

// create records a new service, and does not start it.
func (h *Host) create(p plan, sockets string) (service, error) {
	id := strings.ToLower(rand.Text()[:8])
	s := service{plan: p, ID: id, Socket: filepath.Join(sockets, id+".sock"), dir: h.path("native", id)}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return service{}, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return service{}, fmt.Errorf("cannot create service: %w", err)
	}
	if err := replaceFile(filepath.Join(s.dir, planFile), append(text, '\n'), 0o644); err != nil {
		return service{}, fmt.Errorf("cannot create service: %w", err)
	}
	return s, nil
}

// replaceFile writes a file so that readers see the old or the new one whole.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, content, mode); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, path)
}
