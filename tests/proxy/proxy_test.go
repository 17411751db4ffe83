package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/proxy"
)

func requireProxy(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("machines need root")
	}
	if !proxy.Installed() {
		t.Skip("haproxy is not installed")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newMachine(t *testing.T, options machine.Options) *machine.Machine {
	t.Helper()
	m, err := machine.New(t.Context(), options)
	check(t, err)
	t.Cleanup(func() { check(t, m.Close()) })
	return m
}

// answering has a server of the machine answer requests at a port with a text.
func answering(t *testing.T, m *machine.Machine, port int, text string) {
	t.Helper()
	listener, err := m.Listen(t.Context(), "tcp", fmt.Sprintf(":%d", port))
	check(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { check(t, server.Close()) })
}

// one asks for a service with one server.
func one(address string, port int) proxy.Databags {
	return proxy.Databags{"app/0": {"services": fmt.Sprintf("- service_name: app\n  service_host: 0.0.0.0\n"+
		"  service_port: 8080\n  service_options: [mode http]\n  servers: [[app-0, %s, %d, check]]\n", address, port)}}
}

// TestReload changes what HAProxy does while clients, every second one with a connection for each
// request, are served: none of them may notice.
func TestReload(t *testing.T) {
	requireProxy(t)
	t.Parallel()
	m := newMachine(t, machine.Options{Name: "proxy"})
	answering(t, m, 8001, "first")
	answering(t, m, 8002, "second")
	p, err := proxy.Start(t.Context(), m, one("127.0.0.1", 8001))
	check(t, err)
	t.Cleanup(func() { check(t, p.Stop()) })

	var stop atomic.Bool
	var served atomic.Int64
	var clients sync.WaitGroup
	for number := range 8 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{DialContext: m.Dial, DisableKeepAlives: number%2 == 0}}
			defer client.CloseIdleConnections()
			for !stop.Load() {
				if _, err := ask(t.Context(), client); err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
			}
		})
	}
	for round := range 10 {
		for before := served.Load(); served.Load() < before+100 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		changed, err := p.Configure(t.Context(), one("127.0.0.1", 8001+(round+1)%2))
		if err != nil || !changed {
			t.Errorf("reload: %v, %v", changed, err)
		}
		fresh := m.HTTPClient()
		if got, err := ask(t.Context(), fresh); got != []string{"second", "first"}[round%2] {
			t.Errorf("after a reload: %q, %v", got, err)
		}
		fresh.CloseIdleConnections()
	}
	if changed, err := p.Configure(t.Context(), one("127.0.0.1", 8001)); changed || err != nil {
		t.Errorf("the same again: %v, %v", changed, err)
	}
	if _, err := p.Configure(t.Context(), one("127.0.0.1", 0)); err == nil || !strings.Contains(err.Error(), "it refuses the configuration") {
		t.Errorf("a server without a port: %v", err)
	}
	stop.Store(true)
	clients.Wait()
	t.Logf("%d requests", served.Load())
}

func ask(ctx context.Context, client *http.Client) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8080/", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

// TestStop holds that HAProxy leaves nothing running, and can be started again.
func TestStop(t *testing.T) {
	requireProxy(t)
	t.Parallel()
	m := newMachine(t, machine.Options{Name: "proxy"})
	answering(t, m, 8001, "there")
	for range 2 {
		p, err := proxy.Start(t.Context(), m, one("127.0.0.1", 8001))
		check(t, err)
		client := m.HTTPClient()
		if got, err := ask(t.Context(), client); got != "there" {
			t.Errorf("%q, %v", got, err)
		}
		client.CloseIdleConnections()
		check(t, p.Stop())
		check(t, p.Stop())
		processes, err := m.Processes(t.Context())
		check(t, err)
		if left := strings.Join(processes, "\n"); strings.Contains(left, "haproxy") {
			t.Errorf("left running:\n%s", left)
		}
		if _, err := (&net.Dialer{}).Dial("unix", m.Path("/run/haproxy-master.sock")); err == nil {
			t.Error("HAProxy's master still answers")
		}
	}
}
