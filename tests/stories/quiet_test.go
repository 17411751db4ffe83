package stories

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestQuietHook holds that a hook which finds all as it should be touches nothing.
func TestQuietHook(t *testing.T) {
	p := deployed(t, map[string]string{"auth-basic-password": "quiet"})
	const tree = `find /etc/docker /etc/ssl/certs /usr/local/share/ca-certificates /srv/registry /var/lib/docker-registry ` +
		`-printf '%p %i %s %m %U %T@ %C@\n' | sort`
	before, hooks, since := p.on(tree), len(p.unit.Hooks()), time.Now()
	p.update()
	if after := p.on(tree); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
	until := time.Now()
	var events string
	p.ask(fmt.Sprintf("/events?since=%d.%09d&until=%d.%09d",
		since.Unix(), since.Nanosecond(), until.Unix(), until.Nanosecond()), &events)
	if events != "" {
		t.Errorf("the engine was asked for changes:\n%s", events)
	}
	ran := p.unit.Hooks()[hooks:]
	if len(ran) != 1 {
		t.Fatalf("hooks: %v", ran)
	}
	hook := ran[0]
	if hook.Err != "" || len(hook.Tools) > 12 {
		t.Errorf("%s: %v", hook, hook.Tools)
	}
	if slices.Contains(hook.Tools, "status-set") {
		t.Errorf("status was set anew: %v", hook.Tools)
	}
	for _, line := range hook.Log {
		if line.Level != "DEBUG" && line.Level != "TRACE" {
			t.Errorf("logged: %s %s", line.Level, line.Message)
		}
	}
	t.Logf("%s: %v", hook, hook.Tools)
}
