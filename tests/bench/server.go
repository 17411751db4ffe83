package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	starts = 10

	// startLimit bounds a start, startBeat how exactly it is known.
	startLimit = 30 * time.Second
	startBeat  = time.Millisecond
)

// configuration is the same for both registries.
const configuration = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {%s, delete: {enabled: true}, redirect: {disable: true}}
http: {addr: "%s", secret: bench}
`

// server is a registry that runs as a process of its own.
type server struct {
	name, url string
	storage   string // the driver's part of the configuration; "" keeps images in dir
	flags     []string
	dir       string
	lock      *lock // TLS, and a password perhaps; nil for neither
	cmd       *exec.Cmd
	words     *bytes.Buffer
	blobs     map[int]string // digests by size
}

// measureServer compares both registries, turn by turn, so that what else the machine does meets both.
func measureServer(ctx context.Context, ours, stock string) error {
	begin, err := measureStarts(ctx, ours, stock)
	if err != nil {
		return err
	}
	disk, err := newDisk(ctx)
	if err != nil {
		return err
	}
	return errors.Join(measureWork(ctx, disk, ours, stock, begin), disk.close())
}

func measureWork(ctx context.Context, disk *disk, ours, stock string, begin [2]time.Duration) error {
	var servers [2]*server
	for i, program := range []string{ours, stock} {
		s, err := disk.server(ctx, program)
		if err == nil {
			defer func() { _ = s.close() }()
			err = s.fill(ctx)
		}
		if err != nil {
			return err
		}
		servers[i] = s
	}
	costs := newTable("## The registry beside the stock one",
		"what", "clients", "ours", "stock", "ours : stock", "memory ours", "memory stock")
	costs.add("start until `/v2/` answers", "", milliseconds(begin[0]), milliseconds(begin[1]),
		ratio(float64(begin[0])/float64(begin[1])), "", "")
	for _, w := range workloads() {
		row, err := compare(ctx, w, servers)
		if err != nil {
			return err
		}
		costs.add(row...)
	}
	costs.print()
	return nil
}

func ratio(r float64) string { return fmt.Sprintf("%.2f", r) }

func measureStarts(ctx context.Context, ours, stock string) ([2]time.Duration, error) {
	say("starts")
	var took [2][]time.Duration
	for range starts {
		for i, program := range []string{ours, stock} {
			s, d, err := startServer(ctx, program, "")
			if err == nil {
				err = s.close()
			}
			if err != nil {
				return [2]time.Duration{}, err
			}
			took[i] = append(took[i], d)
		}
	}
	return [2]time.Duration{median(took[0]), median(took[1])}, nil
}

// startServer says how long it took until the registry answered.
func startServer(ctx context.Context, program, storage string, flags ...string) (*server, time.Duration, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, 0, err
	}
	return begin(ctx, &server{name: program, storage: storage, flags: flags, dir: dir})
}

func begin(ctx context.Context, s *server) (*server, time.Duration, error) {
	s.words, s.blobs = &bytes.Buffer{}, make(map[int]string)
	took, err := s.start(ctx)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("cannot start %s: %w: %s", s.name, err, s.words), s.close())
	}
	return s, took, nil
}

func (s *server) start(ctx context.Context) (time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	config := filepath.Join(s.dir, "config.yml")
	storage := s.storage
	if storage == "" {
		storage = fmt.Sprintf("filesystem: {rootdirectory: %s}", filepath.Join(s.dir, "data"))
	}
	text := fmt.Sprintf(configuration, storage, address)
	s.url = "http://" + address
	if s.lock != nil {
		text = s.lock.configure(text)
		s.url = s.lock.url(address)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return 0, err
	}
	s.cmd = exec.CommandContext(ctx, s.name, append(append([]string{"serve"}, s.flags...), config)...)
	s.cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	s.cmd.Stderr = s.words
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return 0, err
	}
	for time.Since(begin) < startLimit {
		if s.answers(ctx) {
			return time.Since(begin), nil
		}
		time.Sleep(startBeat)
	}
	return 0, errors.New("no answer")
}

func (s *server) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v2/", nil)
	if err != nil {
		return false
	}
	request.Close = true
	response, err := s.client(1).Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *server) close() error {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	return os.RemoveAll(s.dir)
}

// client is for so many connections to the registry.
func (s *server) client(connections int) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	if s.lock != nil {
		transport.TLSClientConfig = s.lock.trust
	}
	return &http.Client{Transport: transport}
}

// forgetPeak makes peak begin anew.
func (s *server) forgetPeak() error {
	return os.WriteFile(s.proc("clear_refs"), []byte("5"), 0)
}

// peak is the most memory that the registry has had, in KiB.
func (s *server) peak() (int, error) {
	status, err := os.ReadFile(s.proc("status"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			return strconv.Atoi(string(fields[1]))
		}
	}
	return 0, fmt.Errorf("cannot read memory of %s: it has ended: %s", s.name, s.words)
}

func (s *server) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
