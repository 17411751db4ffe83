package storagetest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// cuts is how often the power of one disk is cut, and enough how many images are acknowledged before.
	cuts, enough = 2, 15
	writers      = 6
)

// TestPowerCut cuts the power in the middle of pushes. Everything that was acknowledged is there when the
// power is back, and whole; what was not can be pushed.
func TestPowerCut(t *testing.T) {
	eachRegistry(t, func(t *testing.T, r *registry, d *disk) {
		var all []*promise
		for cut := range cuts {
			made := promisesUntilCut(t, r, d, cut)
			r.powerOn(d)
			all = append(all, made...)
			for _, p := range all {
				must(t, p.check(r.client()))
			}
			for _, p := range made {
				must(t, p.goOn(r.client()))
			}
		}
	})
}

// TestPowerCutAtOnce cuts the power at once after each kind of acknowledgement, when nobody else has synced
// anything since.
func TestPowerCutAtOnce(t *testing.T) {
	eachRegistry(t, func(t *testing.T, r *registry, d *disk) {
		for last := range new(promise).steps() {
			p := newPromise(0, 0, last*2)
			for _, step := range p.steps()[:last+1] {
				must(t, step(r.client()))
			}
			r.powerOff(d)
			r.powerOn(d)
			must(t, p.check(r.client()))
			must(t, p.goOn(r.client()))
		}
	})
}

// eachRegistry runs a test on a registry on each kind of file system.
func eachRegistry(t *testing.T, test func(*testing.T, *registry, *disk)) {
	if testing.Short() {
		t.Skip("compiles programs")
	}
	eachDisk(t, func(t *testing.T, d *disk) {
		test(t, startRegistry(t, onDisk, section{"filesystem": section{"rootdirectory": d.dir + "/images"}}), d)
	})
}

// powerOff cuts the power of the machine that the registry and the disk would be.
func (r *registry) powerOff(d *disk) {
	r.t.Helper()
	halt(r.t, r.process.PID())
	d.cut()
	r.kill()
}

func (r *registry) powerOn(d *disk) {
	r.t.Helper()
	d.restore()
	r.start()
}

// promisesUntilCut has writers push until the power is cut under them.
func promisesUntilCut(t *testing.T, r *registry, d *disk, cut int) []*promise {
	t.Helper()
	var mu sync.Mutex
	var made []*promise
	whole := 0
	tell := func(p *promise, done bool) {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, p)
		if done {
			whole++
		}
	}
	var running sync.WaitGroup
	for writer := range writers {
		running.Go(func() {
			c := r.client()
			for number := 0; ; number++ {
				p := newPromise(cut, writer, number)
				err := p.push(c)
				tell(p, err == nil)
				if err != nil {
					return // the power is off
				}
			}
		})
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		ready := whole >= enough
		mu.Unlock()
		if ready || time.Now().After(deadline) {
			break
		}
	}
	r.powerOff(d)
	running.Wait()
	if whole < enough {
		t.Fatalf("only %d images were pushed", whole)
	}
	return made
}

// halt stops a process. When it returns no thread is writing, nor has any come to acknowledge what it wrote.
func halt(t *testing.T, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	eventually(t, func() (string, bool) {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		must(t, err)
		for _, file := range states {
			state, err := os.ReadFile(file)
			must(t, err)
			if _, after, _ := bytes.Cut(state, []byte(") ")); !bytes.HasPrefix(after, []byte("T")) {
				return "a thread still runs: " + string(state), false
			}
		}
		return "all threads are stopped", true
	})
}

// A promise is an image with what was acknowledged of it so far.
type promise struct {
	repository string
	pushed     blob // in one piece
	chunked    blob
	large      blob // of which a chunk is sent and no end

	upload                        string // of the large one
	beginning                     int64  // acknowledged of it
	hasPushed, hasChunked, tagged bool
	deleted                       bool // the second tag
}

// newPromise is an image in a repository that the writer has for itself, or shares.
func newPromise(cut, writer, number int) *promise {
	seed := cut<<20 | writer<<16 | number<<2
	p := &promise{
		repository: fmt.Sprintf("shared/app-%d", number%3),
		pushed:     smallBlob(seed), chunked: smallBlob(seed + 1), large: smallBlob(seed + 2),
	}
	if number%2 == 0 {
		p.repository = fmt.Sprintf("cut-%d/writer-%d/app-%d", cut, writer, number)
	}
	return p
}

func (p *promise) manifest() []byte { return manifest(p.pushed, p.chunked) }

// tag is one that no other image has.
func (p *promise) tag() string { return p.pushed.hex()[:12] }

// steps are what a client does, each up to an acknowledgement.
func (p *promise) steps() []func(*client) error {
	return []func(*client) error{p.begin, p.pushWhole, p.pushChunks, p.tagTwice, p.untag}
}

func (p *promise) push(c *client) error {
	for _, step := range p.steps() {
		if err := step(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *promise) begin(c *client) error {
	location, err := c.begin(p.repository)
	if err != nil {
		return err
	}
	if p.upload, err = c.patch(location, p.large, 0, p.large.size/2); err == nil {
		p.beginning = p.large.size / 2
	}
	return err
}

func (p *promise) pushWhole(c *client) error {
	err := c.pushWhole(p.repository, p.pushed)
	p.hasPushed = err == nil
	return err
}

func (p *promise) pushChunks(c *client) error {
	err := c.pushChunks(p.repository, p.chunked, p.chunked.size/2)
	p.hasChunked = err == nil
	return err
}

func (p *promise) tagTwice(c *client) error {
	for _, tag := range []string{p.tag() + "-old", p.tag()} {
		if err := c.tag(p.repository, tag, p.manifest()); err != nil {
			return err
		}
	}
	p.tagged = true
	return nil
}

func (p *promise) untag(c *client) error {
	err := c.delete(p.repository, "/manifests/"+p.tag()+"-old")
	p.deleted = err == nil
	return err
}

// check holds that what was acknowledged is there.
func (p *promise) check(c *client) error {
	for _, part := range []struct {
		acknowledged bool
		check        func() error
	}{
		{p.hasPushed, func() error { return c.pull(p.repository, p.pushed) }},
		{p.hasChunked, func() error { return c.pull(p.repository, p.chunked) }},
		{p.tagged, func() error { return c.pullImage(p.repository, p.tag(), p.pushed, p.chunked) }},
		{p.deleted, func() error { return c.gone(p.repository, "/manifests/"+p.tag()+"-old") }},
	} {
		if !part.acknowledged {
			continue
		}
		if err := part.check(); err != nil {
			return fmt.Errorf("after a cut of the power: %w", err)
		}
	}
	return nil
}

// goOn ends what was begun, and pushes what was not acknowledged.
func (p *promise) goOn(c *client) error {
	if p.beginning > 0 {
		if err := c.finish(p.upload, p.large, p.beginning); err != nil {
			return fmt.Errorf("cannot go on with an upload after a cut of the power: %w", err)
		}
	}
	if err := c.pushImage(p.repository, p.tag(), p.pushed, p.chunked); err != nil {
		return fmt.Errorf("cannot push after a cut of the power: %w", err)
	}
	p.hasPushed, p.hasChunked, p.tagged = true, true, true
	_, err := c.want(http.StatusOK, request{method: http.MethodGet, path: "/v2/" + p.repository + "/tags/list"})
	return err
}
