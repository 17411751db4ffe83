package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hostConfiguration is the same for both registries, but for whether there is no access log, and a part of http.
const hostConfiguration = `version: 0.1
log: {level: error, accesslog: {disabled: %t}}
storage: {filesystem: {rootdirectory: %s}, cache: {blobdescriptor: inmemory}, delete: {enabled: true}, redirect: {disable: true}}
http: {addr: "%s", secret: bench, %s}
`

// nginxConfiguration serves files as well as nginx can: by sendfile, from one process whose time is easily told.
const nginxConfiguration = `daemon off; master_process off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 2048; }
http {
	access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
	server { listen %[2]s; root %[3]s; }
}
`

// A hall is a directory of images that several servers serve.
type hall struct {
	dir   string
	blobs map[int]string // digests by size; that of the manifest by 0
	run   []*process
}

// newHall has a registry take the images.
func newHall(ctx context.Context, program string) (*hall, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	h := &hall{dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // nginx may serve as another user
		return nil, errors.Join(err, h.close())
	}
	if err := h.certify(); err != nil {
		return nil, errors.Join(err, h.close())
	}
	first, err := h.registry(ctx, program, false)
	if err == nil {
		err = first.fill(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	h.blobs = first.blobs
	h.blobs[0], err = first.manifest(ctx)
	if err == nil {
		h.blobs[endless], err = h.hollow(endless)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// hollow makes a blob that takes no space, as if it had been pushed.
func (h *hall) hollow(size int) (string, error) {
	say("digest of %d bytes", size)
	hash := sha256.New()
	zeros := make([]byte, middle)
	for range size / len(zeros) {
		hash.Write(zeros)
	}
	hex := fmt.Sprintf("%x", hash.Sum(nil))
	digest := "sha256:" + hex
	blob := filepath.Join(h.data(), digestPath(digest))
	link := filepath.Join(h.data(), "docker/registry/v2/repositories", strings.TrimPrefix(repository, "/v2/"), "_layers/sha256", hex, "link")
	return digest, errors.Join(
		os.MkdirAll(filepath.Dir(blob), 0o755), os.WriteFile(blob, nil, 0o644), os.Truncate(blob, int64(size)),
		os.MkdirAll(filepath.Dir(link), 0o755), os.WriteFile(link, []byte(digest), 0o644))
}

func (h *hall) data() string { return filepath.Join(h.dir, "data") }

// hosts are ours, the stock registry, nginx, and a server of files in Go.
func (h *hall) hosts(ctx context.Context, ours, stock string) ([]*host, error) {
	var all []*host
	blob := func(digest string) string { return repository + "/blobs/" + digest }
	for _, registry := range []struct{ name, program string }{{"ours", ours}, {"stock", stock}} {
		s := &host{name: registry.name, blob: blob, blobs: h.blobs, manifests: true}
		var err error
		if s.plain, err = h.registry(ctx, registry.program, false); err != nil {
			return nil, err
		}
		if s.secure, err = h.registry(ctx, registry.program, true); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	for _, files := range []struct {
		name  string
		start func(ctx context.Context, secure bool) (*process, error)
	}{{"nginx", h.nginx}, {"net/http", h.files}} {
		s := &host{name: files.name, blob: digestPath, blobs: h.blobs}
		var err error
		if s.plain, err = files.start(ctx, false); err != nil {
			return nil, err
		}
		if s.secure, err = files.start(ctx, true); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (h *hall) registry(ctx context.Context, program string, secure bool) (*process, error) {
	more := ""
	if secure {
		more = fmt.Sprintf("tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}", h.dir)
	}
	return h.configured(ctx, program, true, more)
}

func (h *hall) configured(ctx context.Context, program string, silent bool, more string) (*process, error) {
	return h.start(ctx, func(address, config string) (string, []string) {
		return fmt.Sprintf(hostConfiguration, silent, h.data(), address, more), []string{program, "serve", config}
	})
}

// talkative are two of ours, the first with access log and metrics.
func (h *hall) talkative(ctx context.Context, ours string) ([]*host, error) {
	debug, err := freeAddress()
	if err != nil {
		return nil, err
	}
	metrics := fmt.Sprintf(`debug: {addr: "%s", prometheus: {enabled: true}}`, debug)
	var all []*host
	for _, talks := range []struct {
		name    string
		silent  bool
		metrics string
	}{{"with", false, metrics}, {"without", true, ""}} {
		s := &host{name: talks.name, blobs: h.blobs, manifests: true}
		if s.plain, err = h.configured(ctx, ours, talks.silent, talks.metrics); err != nil {
			return nil, err
		}
		s.secure = s.plain
		all = append(all, s)
	}
	return all, nil
}

func (h *hall) nginx(ctx context.Context, secure bool) (*process, error) {
	more := ""
	if secure {
		more = " ssl"
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, fmt.Errorf("cannot compare with nginx, install nginx-light: %w", err)
	}
	return h.start(ctx, func(address, config string) (string, []string) {
		return fmt.Sprintf(nginxConfiguration, h.dir, address+more, h.data()), []string{program, "-c", config}
	})
}

// files has a second process of this program serve the files.
func (h *hall) files(ctx context.Context, secure bool) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return h.start(ctx, func(address, _ string) (string, []string) {
		return "", []string{program, "-files", h.dir, "-address", address, fmt.Sprintf("-tls=%t", secure)}
	})
}

// start runs what command says until it accepts connections.
func (h *hall) start(ctx context.Context, command func(address, config string) (text string, words []string)) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(h.dir, fmt.Sprintf("config-%d", len(h.run)))
	text, words := command(address, config)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &server{name: words[0], url: "http://" + address, words: &bytes.Buffer{}, blobs: make(map[int]string)}
	s.cmd = exec.CommandContext(ctx, words[0], words[1:]...)
	s.cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	s.cmd.Stderr = s.words
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{s, address}
	h.run = append(h.run, p)
	for begin := time.Now(); time.Since(begin) < startLimit; time.Sleep(startBeat) {
		if conn, err := dial(ctx, address, false, ""); err == nil {
			return p, conn.Close()
		}
	}
	return nil, fmt.Errorf("cannot start %s: %s", words[0], s.words)
}

func (h *hall) close() error {
	for _, p := range h.run {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	return os.RemoveAll(h.dir)
}

// certify writes a certificate that nobody is to trust.
func (h *hall) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(h.dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600),
		os.WriteFile(filepath.Join(h.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
