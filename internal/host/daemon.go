package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"docker-registry-operator/internal/config"
)

// DefaultEngine is where Docker's client looks for the engine by default.
const DefaultEngine = "unix:///var/run/docker.sock"

// Daemon is a Docker Engine as a process of the host: asked through its socket,
// reloaded by a signal, never restarted.
type Daemon struct {
	address string
	// pidFile is where the engine leaves its process id, containerdPID where it leaves
	// that of the containerd that it starts where none runs.
	pidFile, containerdPID string
}

// NewDaemon is the engine at address, as in DOCKER_HOST; "" is [DefaultEngine].
func NewDaemon(address string) *Daemon {
	if address == "" {
		address = DefaultEngine
	}
	return &Daemon{address: address, pidFile: "/var/run/docker.pid", containerdPID: "/var/run/docker/containerd/containerd.pid"}
}

// socket is the path of the engine's Unix socket; "" if it has none.
func (d *Daemon) socket() string {
	path, ok := strings.CutPrefix(d.address, "unix://")
	if !ok {
		return ""
	}
	return path
}

// standard says that the engine is at the usual place, where systemd may have opened
// its socket. /var/run is a link to /run.
func (d *Daemon) standard() bool {
	return strings.TrimPrefix(d.socket(), "/var") == "/run/docker.sock"
}

// local says that the engine is on this machine, reached through a Unix socket.
func (d *Daemon) local() bool { return d.socket() != "" }

// Answers says that an engine answers.
func (d *Daemon) Answers(ctx context.Context) bool {
	return d.request(ctx, "/_ping", nil) == nil
}

// listens says that something takes connections where the engine would: less than that
// it answers, for a fraction of the cost.
func (d *Daemon) listens(ctx context.Context) bool {
	network, address, err := d.endpoint()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	return connection.Close() == nil
}

// endpoint is where to connect to the engine.
func (d *Daemon) endpoint() (network, address string, err error) {
	if d.local() {
		return "unix", d.socket(), nil
	}
	if address, ok := strings.CutPrefix(d.address, "tcp://"); ok {
		return "tcp", address, nil
	}
	return "", "", fmt.Errorf("address %q is not of the form unix:// or tcp://", d.address)
}

// info is the part of the engine's own description that the charm needs.
type info struct {
	RegistryConfig struct {
		IndexConfigs map[string]struct {
			Secure bool
		}
		InsecureRegistryCIDRs []string
	}
	SecurityOptions []string
}

func (d *Daemon) info(ctx context.Context) (info, error) {
	var i info
	if err := d.request(ctx, "/info", &i); err != nil {
		return info{}, fmt.Errorf("cannot ask the Docker Engine: %w", err)
	}
	return i, nil
}

// insecure says that the engine speaks plain HTTP with a registry if it has to. Like
// the engine it goes by name, and by address for those in one of its networks.
func (i info) insecure(netloc string) bool {
	if index, known := i.RegistryConfig.IndexConfigs[netloc]; known {
		return !index.Secure
	}
	host, _, err := net.SplitHostPort(netloc)
	if err != nil {
		host = netloc
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	address := net.ParseIP(host)
	return slices.ContainsFunc(i.RegistryConfig.InsecureRegistryCIDRs, func(cidr string) bool {
		_, network, err := net.ParseCIDR(cidr)
		return err == nil && address != nil && network.Contains(address)
	})
}

// answerTime bounds how long an engine may take for one answer. A busy engine takes
// a second for /info; one that hangs must not hold up the hook.
const answerTime = 15 * time.Second

// request asks the engine and decodes its answer into v, if v is not nil.
func (d *Daemon) request(ctx context.Context, path string, v any) error {
	network, address, err := d.endpoint()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(v)
}

// process is the engine's process on this machine.
type process struct {
	pid int
	// since tells it from another process that has the same id later.
	since string
	args  []string
}

// lacks says that the process runs without one of these arguments.
func (p process) lacks(args []string) bool {
	return p.pid != 0 && slices.ContainsFunc(args, func(arg string) bool { return !slices.Contains(p.args, arg) })
}

// started says that the process has all arguments and the proxies that options ask for.
func (p process) started(engine config.Engine) bool {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	if p.pid == 0 || err != nil || p.lacks(engine.Opts) {
		return false
	}
	have := strings.Split(string(environment), "\x00")
	return !slices.ContainsFunc(engineEnv(engine), func(setting string) bool { return !slices.Contains(have, setting) })
}

// String names the process uniquely as long as the machine runs.
func (p process) String() string { return fmt.Sprintf("%d@%s", p.pid, p.since) }

// process finds the engine's process. Whoever listens on the socket is it, unless
// systemd opened the socket; then the engine's own pid file tells.
func (d *Daemon) process() (process, error) {
	if !d.local() {
		return process{}, fmt.Errorf("no process of this machine is the Docker Engine at %q", d.address)
	}
	var pids []int
	if pid, err := peer(d.socket()); err == nil {
		pids = append(pids, pid)
	}
	if text, err := os.ReadFile(d.pidFile); err == nil && d.standard() {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			pids = append(pids, pid)
		}
	}
	for _, pid := range pids {
		if p, ok := running(pid, "dockerd"); ok {
			return p, nil
		}
	}
	return process{}, fmt.Errorf("cannot find the process of the Docker Engine at %q", d.address)
}

// running looks at a process and says whether it runs a program of this name.
func running(pid int, name string) (process, bool) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil || pid <= 1 {
		return process{}, false
	}
	// proc(5): the name is in parentheses and may hold any character; the state is
	// the first field behind it, the start time the 20th.
	open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
	if open < 0 || end < open || string(stat[open+1:end]) != name {
		return process{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return process{}, false
	}
	args, err := os.ReadFile(dir + "cmdline")
	if err != nil {
		return process{}, false
	}
	return process{pid: pid, since: fields[19], args: strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")}, true
}

// reload makes the engine read its configuration file again, which leaves containers
// alone.
func (p process) reload() error {
	if err := unix.Kill(p.pid, unix.SIGHUP); err != nil {
		return fmt.Errorf("cannot reload the Docker Engine: %w", err)
	}
	return nil
}

// peer is the process that listens on a Unix socket.
func peer(socket string) (int, error) {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	raw, err := connection.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var failure error
	err = raw.Control(func(fd uintptr) {
		credentials, failure = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failure); err != nil {
		return 0, err
	}
	return int(credentials.Pid), nil
}
