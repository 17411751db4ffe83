package storagetest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"docker-registry-operator/tests/engine/redis"
)

// runRedis starts a Redis that ends with the test.
func runRedis(t *testing.T, options redis.Options) *redis.Server {
	t.Helper()
	if missing := redis.Missing(); len(missing) > 0 {
		t.Skipf("missing: %s", missing)
	}
	server, err := redis.Start(t.Context(), options)
	must(t, err)
	t.Cleanup(server.Close)
	return server
}

// cachedBy are the sections of a registry that caches in Redis.
func cachedBy(settings section) section {
	settings["dialtimeout"], settings["readtimeout"], settings["writetimeout"] = "1s", "1s", "1s"
	return section{
		"storage": section{"cache": section{"blobdescriptor": "redis"}},
		"redis":   settings,
	}
}

// TestRedis caches in a Redis that is reached by TLS, or that a sentinel tells of, as the charm configures
// both.
func TestRedis(t *testing.T) {
	onDisk.prepare(t)
	t.Run("TLS", func(t *testing.T) {
		certificate, key := selfSigned(t)
		server := runRedis(t, redis.Options{Certificate: certificate, Key: key})
		text, err := os.ReadFile(certificate)
		must(t, err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		usesRedis(t, section{
			"addrs": []string{server.Address}, "password": server.Password, "tls": section{"rootcas": []string{certificate}},
		}, func() (net.Conn, error) { return tls.Dial("tcp", server.Address, &tls.Config{RootCAs: roots}) }, server.Password)
	})
	t.Run("sentinel", func(t *testing.T) {
		server := runRedis(t, redis.Options{Sentinel: true})
		usesRedis(t, section{
			"addrs": []string{server.SentinelAddress}, "mastername": redis.Master, "password": server.Password,
		}, func() (net.Conn, error) { return net.Dial("tcp", server.Address) }, server.Password)
	})
}

func usesRedis(t *testing.T, settings section, dial func() (net.Conn, error), password string) {
	t.Helper()
	c := startRegistry(t, onDisk, onDisk.storage(directory(t), ""), cachedBy(settings)).client()
	layer := newBlob(t, 'r', mebibyte)
	must(t, c.pushImage("app", "v1", layer))
	must(t, c.pullImage("app", "v1", layer))
	conn, err := dial()
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprintf(conn, "AUTH %s\r\nEXISTS blobs::%s\r\n", password, layer.digest)
	must(t, err)
	answers := bufio.NewReader(conn)
	for _, want := range []string{"+OK", ":1"} {
		got, err := answers.ReadString('\n')
		must(t, err)
		if strings.TrimSpace(got) != want {
			t.Fatalf("Redis answers %q, want %s", got, want)
		}
	}
}

// TestRedisAway goes on without Redis, but deletes nothing that Redis would go on telling of.
func TestRedisAway(t *testing.T) {
	onDisk.prepare(t)
	server := runRedis(t, redis.Options{})
	c := startRegistry(t, onDisk, onDisk.storage(directory(t), ""),
		cachedBy(section{"addrs": []string{server.Address}, "password": server.Password})).client()
	layer, other := newBlob(t, 'a', mebibyte), newBlob(t, 'b', mebibyte)
	must(t, c.pushImage("app", "v1", layer))
	server.Stop()
	must(t, c.pullImage("app", "v1", layer))
	must(t, c.pushImage("app", "v2", other))
	err := c.delete("app", "/blobs/"+layer.digest)
	if err == nil {
		t.Error("a deletion that Redis does not know of is acknowledged")
	}
	must(t, server.Start(t.Context()))
	must(t, c.pullImage("app", "v2", other))
	// The registry's connections notice within a second that Redis is back.
	for range 50 {
		if err = c.delete("app", "/blobs/"+other.digest); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	must(t, err)
	must(t, c.gone("app", "/blobs/"+other.digest))
}

// selfSigned are the paths of a certificate for 127.0.0.1 and of its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "redis.pem"), filepath.Join(dir, "redis.key")
	must(t, os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certificate, key
}
