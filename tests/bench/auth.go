package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/tests/authority"
)

// cost is that of the charm's password files.
const cost = 10

// A lock is what a registry asks of clients: TLS, and a password if there is a user.
type lock struct {
	dir, user, password string
	trust               *tls.Config
}

// newLock writes the files of a lock into dir.
func newLock(dir, user string) (*lock, error) {
	issuer, err := authority.New()
	if err != nil {
		return nil, err
	}
	options, err := issuer.Options("127.0.0.1")
	if err != nil {
		return nil, err
	}
	l := &lock{dir: dir, user: user, password: "bench", trust: &tls.Config{RootCAs: issuer.Pool()}}
	hash, err := bcrypt.GenerateFromPassword([]byte(l.password), cost)
	if err != nil {
		return nil, err
	}
	cert, err := base64.StdEncoding.DecodeString(options["tls-cert-blob"])
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(options["tls-key-blob"])
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"cert.pem": cert, "key.pem": key, "htpasswd": fmt.Appendf(nil, "%s:%s\n", user, hash)}
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return l, err
}

// configure adds the lock to a configuration.
func (l *lock) configure(text string) string {
	at := func(name string) string { return filepath.Join(l.dir, name) }
	text = strings.Replace(text, "secret: bench", fmt.Sprintf("secret: bench, tls: {certificate: %s, key: %s}", at("cert.pem"), at("key.pem")), 1)
	if l.user != "" {
		text += fmt.Sprintf("auth: {htpasswd: {realm: bench, path: %s}}\n", at("htpasswd"))
	}
	return text
}

// url has the credentials in it, which clients then send with each request.
func (l *lock) url(address string) string {
	if l.user == "" {
		return "https://" + address
	}
	return "https://" + l.user + ":" + l.password + "@" + address
}

// measureAuth compares manifests over TLS: with a password beside the stock registry, and beside ours
// without one.
func measureAuth(ctx context.Context, ours, stock string) error {
	var servers []*server
	for _, s := range []struct{ program, user string }{{ours, "bench"}, {stock, "bench"}, {ours, ""}} {
		started, err := startLocked(ctx, s.program, s.user)
		if err != nil {
			return err
		}
		defer func() { _ = started.close() }()
		servers = append(servers, started)
	}
	costs := newTable(fmt.Sprintf("## Manifests over TLS with a password, bcrypt cost %d", cost),
		"what", "clients", "ours", "peer", "ours : peer", "memory ours", "memory peer")
	for _, clients := range []int{1, 8, 32} {
		for i, peer := range []string{"the stock registry", "ours without a password"} {
			w := workload{"beside " + peer, "/s", 1, clients, fetchManifest}
			row, err := compare(ctx, w, [2]*server{servers[0], servers[i+1]})
			if err != nil {
				return err
			}
			costs.add(row...)
		}
	}
	costs.print()
	return nil
}

func startLocked(ctx context.Context, program, user string) (*server, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	l, err := newLock(dir, user)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s, _, err := begin(ctx, &server{name: program, dir: dir, lock: l})
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}
