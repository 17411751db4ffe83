package registryd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// eventServer receives notifications. While it is down it answers 503.
type eventServer struct {
	*httptest.Server
	down   chan struct{}
	pushed chan string
}

func newEventServer(t *testing.T) *eventServer {
	t.Helper()
	s := &eventServer{down: make(chan struct{}), pushed: make(chan string, 1000)}
	close(s.down)
	s.Server = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.Close)
	return s
}

func (s *eventServer) receive(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.down:
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var envelope struct {
		Events []struct {
			Action string
			Target struct{ Repository, Tag string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, event := range envelope.Events {
		if event.Target.Tag != "" {
			s.pushed <- event.Action + " " + event.Target.Repository + ":" + event.Target.Tag
		}
	}
}

// TestNotificationsSurviveReload pushes while the receiver is down, reloads, and wants
// the events once the receiver is back, in order and once.
func TestNotificationsSurviveReload(t *testing.T) {
	hook := newEventServer(t)
	hook.down = make(chan struct{})
	config := func(level string) string {
		return filesystem("127.0.0.1:0", fmt.Sprintf(`
log: {level: %s}
notifications: {endpoints: [{name: hook, url: %q, threshold: 1, backoff: 10ms, ignore: {actions: [pull]}}]}
`, level, hook.URL))
	}
	u := start(t, config("info"))
	push := func(tag string) {
		t.Helper()
		options := []remote.Option{remote.WithAuth(authn.Anonymous), remote.WithTransport(newTransport())}
		if err := pushAndPull(u.server.Status().Addr+"/app:"+tag, options); err != nil {
			t.Fatal(err)
		}
	}
	push("1")
	u.reload(config("error"))
	push("2")
	close(hook.down)
	var got []string
	for range 2 {
		select {
		case event := <-hook.pushed:
			got = append(got, event)
		case <-time.After(20 * time.Second):
			t.Fatalf("events so far: %v", got)
		}
	}
	if diff := cmp.Diff([]string{"push app:1", "push app:2"}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestEndWithDeadEndpoint ends a server whose notifications cannot be delivered.
func TestEndWithDeadEndpoint(t *testing.T) {
	hook := newEventServer(t)
	hook.down = make(chan struct{})
	u := start(t, filesystem("127.0.0.1:0", fmt.Sprintf(
		"notifications: {endpoints: [{name: hook, url: %q, threshold: 1, backoff: 10ms}]}", hook.URL)))
	options := []remote.Option{remote.WithAuth(authn.Anonymous), remote.WithTransport(newTransport())}
	if err := pushAndPull(u.server.Status().Addr+"/app:1", options); err != nil {
		t.Fatal(err)
	}
	u.end()
}
