package stories

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pusher pushes images one after the other, and remembers those that were taken.
type pusher struct {
	stop    chan struct{}
	done    sync.WaitGroup
	taken   map[string]image
	refused int
}

func (p *place) pushing() *pusher {
	pusher := &pusher{stop: make(chan struct{}), taken: map[string]image{}}
	pusher.done.Go(func() {
		client := newClient(p.machine, 5000)
		for i := 0; ; i++ {
			select {
			case <-pusher.stop:
				return
			case <-p.ctx.Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
			name := fmt.Sprintf("pushed/%d", i)
			if image := makeImage(name); client.push(name, "v1", image) == nil {
				pusher.taken[name] = image
			} else {
				pusher.refused++
			}
		}
	})
	return pusher
}

func (p *pusher) end() {
	close(p.stop)
	p.done.Wait()
}

// TestKilledMove attaches storage to a unit with images and kills the hooks that move them, while
// clients push. What was taken before or meanwhile is there afterwards, and nobody went without an
// answer.
func TestKilledMove(t *testing.T) {
	p := deployed(t, nil)
	client, images := newClient(p.machine, 5000), map[string]image{}
	for i := range 30 {
		name := fmt.Sprintf("team/app-%d", i)
		images[name] = makeImage(strings.Repeat(name, 20_000))
		p.must(client.push(name, "v1", images[name]))
	}
	p.on(`mkdir /srv/registry-data`)
	w, pusher := p.watch(5000), p.pushing()
	p.unit.AddStorage("registry-data", "/srv/registry-data")
	for _, b := range []blow{
		atTool(1), atTool(5), after(150 * time.Millisecond), after(300 * time.Millisecond),
		after(600 * time.Millisecond), after(time.Second), after(2 * time.Second),
	} {
		if p.kill(b) != "registry-data-storage-attached" {
			break
		}
	}
	p.settle()
	for range 20 {
		if strings.Contains(p.unit.Status().String(), "A copy of all images") {
			break
		}
		p.update()
	}
	pusher.end()
	p.wantConstant(w)
	p.drain()
	p.update()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http). A copy of all images from before they were moved " +
		"stays in /srv/registry; remove /srv/registry/docker if you do not need it.")

	// The former copy has no part in it.
	p.on(`mv /srv/registry/docker /srv/registry/old`)
	p.update()
	p.wantStatus("active: Ready at " + p.machine.Address() + ":5000 (http).")
	for name, image := range images {
		p.must(client.pull(name, "v1", image))
		p.must(client.pull(name, digest(image.manifest), image))
	}
	for name, image := range pusher.taken {
		p.must(client.pull(name, "v1", image))
	}
	p.must(client.push("team/app", "v1", makeImage("in the storage")))
	if left := p.on(`ls /srv/registry-data; find /srv/registry-data ! -uid 65532 -mindepth 1 | head`); left != "registry" {
		t.Errorf("the storage holds %s", left)
	}
	if len(pusher.taken) == 0 {
		t.Error("nothing was pushed meanwhile")
	}
	t.Logf("%d images pushed meanwhile, %d refused", len(pusher.taken), pusher.refused)
}
