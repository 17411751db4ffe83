// Registry is a stand-in for the registry server in tests of what runs it: it keeps
// the contract of `registry serve`, and serves no images. Its configuration is lines
// of name=value:
//
//	port     the TCP port to serve on
//	refuse   a reason not to take this configuration
//	mute     do not answer at the admin socket
//	text     what GET / answers
//	images   how many repositories its storage holds
//	writes   how many pushes it says are under way
//
// GET /?until=FILE answers in full once FILE is there.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"docker-registry-operator/internal/registryd/listen"
)

func main() {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	socket := flags.String("admin", "", "admin socket")
	flags.String("user", "", "user to become; ignored")
	flags.String("environment", "", "file of settings; ignored")
	_ = flags.Parse(os.Args[2:])
	s := &server{file: flags.Arg(0), done: make(chan struct{})}
	if err := s.load(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *socket != "" && s.now.values["mute"] == "" {
		_ = os.Remove(*socket)
		admin, err := net.Listen("unix", *socket)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() { _ = http.Serve(admin, s.admin()) }()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for {
		select {
		case <-hup:
			_ = s.load()
		case <-stop:
			s.retire()
		case <-s.done:
			return
		}
	}
}

type generation struct {
	values map[string]string
	digest string
	http   *http.Server
	socket *listen.Socket
}

type server struct {
	file     string
	mu       sync.Mutex
	now      *generation
	count    int
	retiring bool
	done     chan struct{}
}

func (s *server) load() error {
	content, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	g := &generation{values: map[string]string{}, digest: fmt.Sprintf("sha256:%x", sha256.Sum256(content))}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		g.values[name] = value
	}
	if reason := g.values["refuse"]; reason != "" {
		return fmt.Errorf("%s", reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now
	if old == nil || old.values["port"] != g.values["port"] {
		listener, err := listen.Open(context.Background(), "tcp", "127.0.0.1:"+g.values["port"])
		if err != nil {
			return err
		}
		g.socket = listener
		g.http = &http.Server{Handler: http.HandlerFunc(s.answer)}
		go func() { _ = g.http.Serve(listener) }()
		if old != nil {
			go func() { _ = old.http.Shutdown(context.Background()) }()
		}
	} else {
		g.http, g.socket = old.http, old.socket
	}
	s.now = g
	s.count++
	return nil
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	if until := r.URL.Query().Get("until"); until != "" {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for {
			if _, err := os.Stat(until); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	s.mu.Lock()
	text := s.now.values["text"]
	s.mu.Unlock()
	fmt.Fprintf(w, "%d %s\n", os.Getpid(), text)
}

func (s *server) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retiring {
		return
	}
	s.retiring = true
	server, socket := s.now.http, s.now.socket
	go func() {
		_ = socket.Yield()
		time.Sleep(50 * time.Millisecond)
		_ = server.Shutdown(context.Background())
		close(s.done)
	}()
}

func (s *server) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { s.status(w, 200) })
	mux.HandleFunc("GET /v1/repositories", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(w, `{"config": %q, "repositories": %s, "more": false}`, s.now.digest, s.now.values["images"])
	})
	mux.HandleFunc("POST /v1/retire", func(w http.ResponseWriter, _ *http.Request) {
		s.retire()
		s.status(w, 202)
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.load(); err != nil {
			w.WriteHeader(422)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
			return
		}
		s.status(w, 200)
	})
	return mux
}

func (s *server) status(w http.ResponseWriter, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "serving"
	if s.retiring {
		state = "retiring"
	}
	writes, _ := strconv.Atoi(s.now.values["writes"])
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"writes":  writes,
		"version": "v0.0.0-test", "state": state, "generation": s.count, "config": s.now.digest,
		"addr": "127.0.0.1:" + s.now.values["port"],
	})
}
