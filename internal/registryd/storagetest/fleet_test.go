package storagetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"docker-registry-operator/tests/engine/process"
)

const (
	// pushes and pulls are how many there are in all, and crowd is how many go on at a time.
	pushes, pulls, crowd = 500, 5000, 8

	// victim is the number of the registry that is killed, of as many as there are.
	victim, registries = 1, 3
)

// servedBy is the header in which HAProxy tells which registry an answer is of, also one that it makes
// itself because the registry has not answered.
const servedBy = "X-Served-By"

// TestFleet has registries on one storage behind HAProxy, and kills one of them while many clients push and
// pull.
func TestFleet(t *testing.T) {
	if _, err := exec.LookPath(haproxy); err != nil {
		t.Skip("missing: " + haproxy)
	}
	each(t, remote, func(t *testing.T, b *backend) {
		storage, cache := b.storage(directory(t), b.address), startRedis(t)
		var members []*registry
		for range registries {
			members = append(members, startRegistry(t, b, storage, cache, section{
				"health": section{"storagedriver": section{"interval": "10s", "threshold": 3}},
			}))
		}
		l := &load{t: t, address: startHAProxy(t, members)}
		l.run(members[victim])
		l.judge()
		// What the registry that was killed says of everything that was acknowledged.
		c := members[victim].client()
		for _, image := range l.images {
			must(t, c.pullImage(image.repository, image.tag, image.content))
		}
	})
}

// image is an image of one blob, which is its configuration.
type image struct {
	repository, tag string
	content         blob
}

// failure is a request that did not succeed.
type failure struct {
	err    error
	begun  time.Time
	server string
}

// load is what the clients do, and what becomes of it.
type load struct {
	t        *testing.T
	address  string
	killedAt time.Time

	mu       sync.Mutex
	images   []image // acknowledged
	failures []failure
}

// run pushes and pulls until all is done, beginning with an image that can be pulled. After a third of it the registry is killed, after half of it it
// comes back.
func (l *load) run(killed *registry) {
	l.t.Helper()
	l.work(newClient(l.t, "http://"+l.address), 0)
	jobs := make(chan int)
	var clients sync.WaitGroup
	for range crowd {
		clients.Go(func() {
			c := newClient(l.t, "http://"+l.address)
			for job := range jobs {
				l.work(c, job)
			}
		})
	}
	for job := 1; job < pushes+pulls; job++ {
		switch job {
		case (pushes + pulls) / 3:
			killed.kill()
			l.killedAt = time.Now()
		case (pushes + pulls) / 2:
			killed.start()
		}
		jobs <- job
	}
	close(jobs)
	clients.Wait()
}

// work pushes an image, or pulls one that was acknowledged.
func (l *load) work(c *client, job int) {
	const every = (pushes + pulls) / pushes
	if job%every == 0 {
		l.push(c, image{fmt.Sprintf("fleet/%d", job%16), fmt.Sprintf("v%d", job), smallBlob(job)})
		return
	}
	l.mu.Lock()
	picked := l.images[rand.IntN(len(l.images))]
	l.mu.Unlock()
	l.note(c, func() error { return c.pullManifest(picked.repository, picked.tag, manifest(picked.content)) })
	l.note(c, func() error { return c.pull(picked.repository, picked.content) })
}

// push pushes an image, and acknowledges it if all its requests succeed. A failed one ends it: what a
// client would do then is not of interest here.
func (l *load) push(c *client, i image) {
	var location string
	_ = l.note(c, func() (err error) { location, err = c.begin(i.repository); return err }) &&
		l.note(c, func() error { return c.commit(location, i.content, 0) }) &&
		l.note(c, func() error { return c.tag(i.repository, i.tag, manifest(i.content)) }) &&
		l.acknowledge(i)
}

func (l *load) acknowledge(i image) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.images = append(l.images, i)
	return true
}

// note makes one request, and keeps it in mind if it fails.
func (l *load) note(c *client, request func() error) bool {
	begun := time.Now()
	err := request()
	if err == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, failure{err, begun, c.server})
	return false
}

// judge holds that every failed request was in flight on the registry that was killed, and that some had
// to do with it.
func (l *load) judge() {
	l.t.Helper()
	for _, f := range l.failures {
		if f.server != memberName(victim) || f.begun.After(l.killedAt) {
			l.t.Errorf("a request of %s that began %s after the kill failed: %v", f.server, f.begun.Sub(l.killedAt), f.err)
		}
	}
	if len(l.images) < pushes-len(l.failures) {
		l.t.Errorf("%d of %d images were acknowledged, and %d requests failed", len(l.images), pushes, len(l.failures))
	}
	l.t.Logf("%d images were acknowledged, %d requests failed", len(l.images), len(l.failures))
}

const haproxy = "haproxy"

func memberName(number int) string { return fmt.Sprintf("registry%d", number) }

// startHAProxy runs HAProxy in front of registries, and returns its address.
func startHAProxy(t *testing.T, members []*registry) string {
	t.Helper()
	addresses, err := process.Addresses(1)
	must(t, err)
	lines := []string{
		"global", "  maxconn 1000",
		"defaults", "  mode http", "  timeout connect 5s", "  timeout client 60s", "  timeout server 60s",
		// A request that a registry has not taken goes to another one.
		"  retries 3", "  option redispatch 1",
		// HAProxy tells the client nothing of a request that fails on a connection that was used before.
		"  option httpclose",
		"listen registry", "  bind " + addresses[0], "  balance roundrobin",
		"  option httpchk GET /", "  http-check expect status 200",
		"  http-after-response set-header " + servedBy + " %[srv_name]",
	}
	for number, member := range members {
		lines = append(lines, fmt.Sprintf("  server %s %s check inter 500ms fall 2 rise 1", memberName(number), member.address))
	}
	config := t.TempDir() + "/haproxy.cfg"
	must(t, os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	proxy, err := process.Start(process.Command{Path: haproxy, Args: []string{"-db", "-f", config}})
	must(t, err)
	t.Cleanup(proxy.Stop)
	must(t, proxy.Await(t.Context(), process.Answers("http://"+addresses[0]+"/")))
	return addresses[0]
}
