package oci

import (
	"crypto/rand"
	"net/http"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/notifications"
	"github.com/distribution/reference"
	events "github.com/docker/go-events"
	"github.com/opencontainers/go-digest"
)

// events makes the notifications of a request, as the application does for those that it answers.
func (s *Server) events(r *http.Request, user string, sink events.Sink) notifications.Listener {
	request := notifications.NewRequestRecord(rand.Text(), r)
	return notifications.NewBridge(s.urls(r), s.Source, notifications.ActorRecord{Name: user}, request, sink,
		s.Config.Notifications.EventConfig.IncludeReferences)
}

// tell logs that a notification was not sent: the push has happened all the same.
func (s *Server) tell(r *http.Request, err error) {
	if err != nil {
		s.Log.WithContext(r.Context()).WithError(err).Error("cannot send notification")
	}
}

// manifestPushed notifies of a manifest under content, once for each tag.
func (s *Server) manifestPushed(r *http.Request, user string, name reference.Named, content digest.Digest, manifest distribution.Manifest, tags []string) error {
	canonical, err := reference.WithDigest(name, content)
	if err != nil {
		return err
	}
	address, err := s.urls(r).BuildManifestURL(canonical)
	if err != nil {
		return err
	}
	listener := s.events(r, user, renaming{s.Sink, content, address})
	if len(tags) == 0 {
		return listener.ManifestPushed(name, manifest)
	}
	for _, tag := range tags {
		if err := listener.ManifestPushed(name, manifest, distribution.WithTag(tag)); err != nil {
			return err
		}
	}
	return nil
}

// renaming puts the digest that a manifest was pushed under into its event, in place of the one that
// distribution computes.
type renaming struct {
	events.Sink
	content digest.Digest
	address string
}

// Write sends an event.
func (s renaming) Write(event events.Event) error {
	if pushed, ok := event.(notifications.Event); ok {
		pushed.Target.Digest, pushed.Target.URL = s.content, s.address
		event = pushed
	}
	return s.Sink.Write(event)
}
