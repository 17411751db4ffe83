package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"docker-registry-operator/tests/charmzip"
)

const (
	// beat is the time between two requests of a watch.
	beat = 10 * time.Millisecond

	// askLimit turns a request that has no answer into one that failed.
	askLimit = 2 * time.Second

	// changeLimit bounds a change.
	changeLimit = 2 * time.Minute

	port, otherPort = 5000, 5443

	// stockImage is the name of what importImage makes.
	stockImage = "stock:3"
)

// A change is what an operator does. While it goes on one of the ports has to answer.
type change struct {
	name  string
	ports []int
	do    func(ctx context.Context) error
}

func (s *site) measureChanges(ctx context.Context, charm, stock string) error {
	if err := s.importImage(ctx, stock); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	changes, err := s.changes(charm, filepath.Join(dir, "next.charm"))
	if err != nil {
		return err
	}
	costs := newTable("## Changes", "change", "hooks take", "without service", "failed requests at 100 a second")
	for _, c := range changes {
		say("change of %s", c.name)
		row, err := s.measureChange(ctx, c)
		if err != nil {
			return fmt.Errorf("cannot change %s: %w", c.name, err)
		}
		costs.add(row...)
	}
	costs.print()
	return nil
}

func (s *site) changes(charm, next string) ([]change, error) {
	certificate, err := s.authority.Options("registry.test")
	if err != nil {
		return nil, err
	}
	set := func(values map[string]string) func(context.Context) error {
		return func(context.Context) error { return s.app.SetConfig(values) }
	}
	one := func(name, value string, ports ...int) change {
		return change{"`" + name + "`", ports, set(map[string]string{name: value})}
	}
	return []change{
		one("log-level", "debug", port),
		one("storage-delete", "true", port),
		one("auth-basic-password", "second-password", port),
		{"`tls-cert-blob` and `tls-key-blob`", []int{port}, set(certificate)},
		one("registry-port", fmt.Sprint(otherPort), port, otherPort),
		one("registry-name", "images", otherPort),
		{"`juju refresh` with another registry", []int{otherPort}, func(context.Context) error {
			if err := charmzip.Rebuild(next, charm); err != nil {
				return err
			}
			return s.app.Refresh(next)
		}},
		one("registry-runtime", "native", otherPort),
		{"`registry-runtime` back to `docker`", []int{otherPort}, set(map[string]string{"registry-runtime": "docker"})},
		one("registry-image", stockImage, otherPort),
		{"`log-level` with that image", []int{otherPort}, set(map[string]string{"log-level": "info"})},
	}, nil
}

// importImage makes an image like the stock one of version 3 on the unit's machine, which has no way
// to a registry.
func (s *site) importImage(ctx context.Context, program string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	if err := s.home.WriteFile("/tmp/image/registry", content, 0o755); err != nil {
		return err
	}
	script := `tar -C /tmp/image -c registry | docker import --change 'ENTRYPOINT ["/registry"]' ` +
		`--change 'CMD ["serve", "/etc/distribution/config.yml"]' - "$1"`
	out, err := s.home.Command(ctx, "sh", "-c", script, "sh", stockImage).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot import image: %w: %s", err, out)
	}
	return nil
}

func (s *site) measureChange(ctx context.Context, c change) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	hooks := len(s.unit.Hooks())
	w := s.watch(ctx, c.ports)
	err := c.do(ctx)
	for err == nil && len(s.unit.Hooks()) == hooks {
		time.Sleep(pollEvery)
		err = ctx.Err()
	}
	if err == nil {
		err = s.app.WaitIdle(ctx)
	}
	// A predecessor leaves its socket a second after its successor has taken over.
	time.Sleep(2 * time.Second)
	failed, away := w.stop()
	if err != nil {
		return nil, err
	}
	var took time.Duration
	for _, hook := range s.unit.Hooks()[hooks:] {
		took += hook.Duration
		if hook.Err != "" {
			return nil, fmt.Errorf("hook %s failed: %s", hook.Name, hook.Err)
		}
	}
	return []string{c.name, seconds(took), seconds(away), fmt.Sprint(failed)}, nil
}

// A watch asks the registry for a sign of life a hundred times a second, each time over a new
// connection.
type watch struct {
	cancel context.CancelFunc
	asked  sync.WaitGroup

	mu     sync.Mutex
	failed []time.Time // when the requests were sent that had no answer
}

func (s *site) watch(ctx context.Context, ports []int) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel}
	w.asked.Go(func() {
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.asked.Go(func() { w.note(time.Now(), s.askAny(context.WithoutCancel(ctx), ports)) })
			}
		}
	})
	return w
}

// askAny is content with one port that answers.
func (s *site) askAny(ctx context.Context, ports []int) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var err error
	for _, port := range ports {
		if err = s.ask(ctx, port); err == nil {
			return nil
		}
	}
	return err
}

func (w *watch) note(sent time.Time, err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, sent)
}

// stop returns how many requests failed, and the time from the first to the last of them.
func (w *watch) stop() (failed int, away time.Duration) {
	w.cancel()
	w.asked.Wait()
	if len(w.failed) == 0 {
		return 0, 0
	}
	first, last := slices.MinFunc(w.failed, time.Time.Compare), slices.MaxFunc(w.failed, time.Time.Compare)
	return len(w.failed), last.Sub(first) + beat
}

func (s *site) transport(port int) *http.Transport {
	return &http.Transport{
		DialContext:     s.dialer(port),
		TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()},
	}
}
