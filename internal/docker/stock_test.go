package docker

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/docker/api/types/image"

	"docker-registry-operator/internal/desired"
)

// stock makes the unit run an image without an admin socket.
func (s *stage) stock() {
	s.t.Helper()
	own := builtIn + ":" + s.tag()
	if err := s.Engine.load(s.t.Context(), own); err != nil {
		s.t.Fatal(err)
	}
	name := "test-" + s.w.Name + ":2"
	if err := s.Tag(s.t.Context(), own, name); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.Remove(context.Background(), s.w.Unit); err != nil {
			s.t.Error(err)
		}
		if _, err := s.api.ImageRemove(context.Background(), name, image.RemoveOptions{}); err != nil {
			s.t.Error(err)
		}
	})
	s.w.Image, s.w.Sockets = name, ""
}

func TestStock(t *testing.T) { onEngines(t, testStock) }

func testStock(t *testing.T, s *stage) {
	s.stock()
	s.ensure("created")
	before := s.only().ID
	s.configure("text=new\n")
	s.ensure("replaced")
	after := s.only()
	if after.ID == before || after.Name != "/"+s.w.Name {
		t.Errorf("container %s named %s, want a new one named %s", after.ID, after.Name, s.w.Name)
	}
	if err := s.api.ContainerKill(t.Context(), after.ID, "KILL"); err != nil {
		t.Fatal(err)
	}
	s.ensure("started")
}

func TestStockThatDoesNotStart(t *testing.T) { onEngines(t, testStockThatDoesNotStart) }

func testStockThatDoesNotStart(t *testing.T, s *stage) {
	s.stock()
	s.ensure("created")
	before := s.only().ID
	// What the successor lacks is its configuration; the predecessor has it.
	s.w.ConfigFile += ".none"
	outcome, err := s.Ensure(t.Context(), s.w)
	var refused *desired.Refused
	want := "open " + s.w.ConfigFile + ": no such file or directory"
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("got %v, want the reason %s", err, want)
	}
	if outcome.Resume == nil {
		t.Fatal("nothing gets the predecessor running again")
	}
	if err := outcome.Resume(); err != nil {
		t.Fatal(err)
	}
	if after := s.only(); after.ID != before || after.Name != "/"+s.w.Name || !after.State.Running {
		t.Errorf("container %s named %s, want the predecessor running", after.ID, after.Name)
	}
}

func TestBetweenStockAndBuiltIn(t *testing.T) { onEngines(t, testBetweenStockAndBuiltIn) }

func testBetweenStockAndBuiltIn(t *testing.T, s *stage) {
	s.ensure("created")
	builtIn := s.w
	s.stock()
	s.ensure("replaced")
	s.w = builtIn
	s.ensure("replaced")
	s.answer()
	s.only()
}

func TestStockImageIsMissing(t *testing.T) { onEngines(t, testStockImageIsMissing) }

func testStockImageIsMissing(t *testing.T, s *stage) {
	s.w.Image, s.w.Sockets = "test-none-such:2", ""
	_, err := s.Ensure(t.Context(), s.w)
	want := `cannot inspect image "test-none-such:2": no such image`
	if !errors.Is(err, ErrNoSuchImage) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
