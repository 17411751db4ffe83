package clients_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// A source is another registry of the network, without TLS or passwords.
type source struct {
	site    *site
	machine *machine.Machine
	cmd     *exec.Cmd
}

func (s *site) source(t *testing.T) *source {
	t.Helper()
	r := &source{site: s, machine: s.machine(t, "source", true)}
	packed, err := charm()
	check(t, err)
	// The program lies beside the charm that brings it.
	program, err := os.ReadFile(filepath.Join(filepath.Dir(packed), runtime.GOARCH, "registry"))
	check(t, err)
	check(t, r.machine.WriteFile("/usr/local/bin/registry", program, 0o755))
	const config = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/source}}\nhttp: {addr: \":5000\"}\n"
	check(t, r.machine.WriteFile("/etc/source.yml", []byte(config), 0o644))
	r.start(t)
	return r
}

// netloc is how the images of the source begin.
func (r *source) netloc() string { return r.machine.Address() + ":5000" }

func (r *source) start(t *testing.T) {
	t.Helper()
	r.cmd = r.machine.Command(r.site.ctx, "/usr/local/bin/registry", "serve", "/etc/source.yml")
	check(t, r.cmd.Start())
	for {
		conn, err := r.machine.Dial(r.site.ctx, "tcp", "127.0.0.1:5000")
		if err == nil {
			check(t, conn.Close())
			return
		}
		check(t, r.site.ctx.Err())
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *source) stop() {
	_ = r.cmd.Process.Kill()
	// It says that it was killed.
	_ = r.cmd.Wait()
}

// push makes an image of the content and returns its digest.
func (r *source) push(t *testing.T, image, content string) (digest string) {
	t.Helper()
	// Docker takes a registry on the machine itself for one without TLS.
	local := "127.0.0.1:5000/" + image
	importImage(r.site.ctx, t, r.machine, local, content)
	if out, err := r.machine.Command(r.site.ctx, "docker", "push", local).CombinedOutput(); err != nil {
		t.Fatalf("cannot push %s: %v: %s", local, err, out)
	}
	return r.site.digest(t, r.netloc(), image)
}

// digest asks a registry for the digest of a tag, "" if it has none of that name.
func (s *site) digest(t *testing.T, netloc, image string) string {
	t.Helper()
	repository, tag, _ := strings.Cut(image, ":")
	url := fmt.Sprintf("http://%s/v2/%s/manifests/%s", netloc, repository, tag)
	request, err := http.NewRequestWithContext(s.ctx, http.MethodHead, url, nil)
	check(t, err)
	request.SetBasicAuth("admin", newPassword)
	request.Header.Set("Accept", "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json")
	client := s.app.Units()[0].Machine().HTTPClient()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode == http.StatusNotFound {
		return ""
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("HEAD %s: %s", url, response.Status)
	}
	return response.Header.Get("Docker-Content-Digest")
}

// wantImage compares the digest under a tag of every unit.
func (s *site) wantImage(t *testing.T, image, digest string) {
	t.Helper()
	for _, unit := range s.app.Units() {
		if got := s.digest(t, unit.Machine().Address()+":5000", image); got != digest {
			t.Errorf("%s of %s is %q, want %q", image, unit.Name(), got, digest)
		}
	}
}

// wantAnswer compares what every unit says of an image that was asked for.
func (s *site) wantAnswer(t *testing.T, relation *juju.Relation, image, tag string) {
	t.Helper()
	for _, unit := range s.app.Units() {
		bag := told(relation, unit.Name())
		got := map[string]string{"image": bag["image"], "tag": bag["tag"]}
		if diff := cmp.Diff(map[string]string{"image": image, "tag": tag}, got); diff != "" {
			t.Errorf("answer of %s (-want +got):\n%s", unit.Name(), diff)
		}
	}
}

// TestImageRequests has applications ask for images that the registry is to take in.
func TestImageRequests(t *testing.T) {
	s := newSite(t, map[string]string{"auth-basic-password": newPassword})
	from := s.source(t)
	defer func() { from.stop() }()
	first := from.push(t, "team/app:1.0", "first")
	second := from.push(t, "team/other:2.0", "second")
	ready := "active: Ready at 10.213.0.2:5000 (http). " + plainNote
	tiny := s.relate(t, "tiny", map[string]string{"image": quoted(from.netloc() + "/team/app"), "tag": quoted("1.0")})

	t.Run("one", func(t *testing.T) {
		s.wantStatus(t, ready)
		s.wantImage(t, "team/app:1.0", first)
		s.wantAnswer(t, tiny, `"team/app"`, `"1.0"`)
	})
	t.Run("another one, raw", func(t *testing.T) {
		raw := s.relate(t, "raw", map[string]string{"image": from.netloc() + "/team/other", "tag": "2.0"})
		s.wantImage(t, "team/other:2.0", second)
		s.wantAnswer(t, raw, `"team/other"`, `"2.0"`)
		s.wantAnswer(t, tiny, `"team/app"`, `"1.0"`)
	})
	t.Run("two units of one application", func(t *testing.T) {
		third := from.push(t, "team/third:3.0", "third")
		check(t, tiny.Set("tiny/1", map[string]string{"image": quoted(from.netloc() + "/team/third:3.0")}))
		check(t, s.app.WaitIdle(s.ctx))
		s.wantStatus(t, ready)
		s.wantImage(t, "team/third:3.0", third)
		tiny.Depart("tiny/1")
		check(t, s.app.WaitIdle(s.ctx))
		s.wantImage(t, "team/third:3.0", third)
	})
	t.Run("a tag that is there", func(t *testing.T) {
		if from.push(t, "team/app:1.0", "changed") == first {
			t.Fatal("the source has not changed")
		}
		late := s.relate(t, "late", map[string]string{"image": quoted(from.netloc() + "/team/app"), "tag": quoted("1.0")})
		s.wantImage(t, "team/app:1.0", first)
		s.wantAnswer(t, late, `"team/app"`, `"1.0"`)
	})
	t.Run("a source that is away", func(t *testing.T) { s.sourceAway(t, from, tiny, ready) })
	t.Run("two units", func(t *testing.T) {
		_, err := s.app.AddUnit(s.ctx, s.machine(t, "registry-1", true), nil)
		check(t, err)
		check(t, s.app.WaitIdle(s.ctx))
		s.wantImage(t, "team/other:2.0", second)
		s.wantAnswer(t, tiny, `"team/next"`, `"1.0"`)
	})
}

func (s *site) sourceAway(t *testing.T, from *source, tiny *juju.Relation, ready string) {
	next := from.push(t, "team/next:1.0", "next")
	from.stop()
	check(t, tiny.Set("tiny/0", map[string]string{"image": quoted(from.netloc() + "/team/next")}))
	check(t, s.app.WaitIdle(s.ctx))
	if status := s.status(); !strings.HasPrefix(status, ready+" ") || !strings.Contains(status, from.netloc()+"/team/next:1.0") {
		t.Errorf("status is %q, want a note on %s/team/next:1.0", status, from.netloc())
	}
	s.wantImage(t, "team/next:1.0", "")

	from.start(t)
	s.app.Units()[0].UpdateStatus()
	check(t, s.app.WaitIdle(s.ctx))
	s.wantStatus(t, ready)
	s.wantImage(t, "team/next:1.0", next)
	s.wantAnswer(t, tiny, `"team/next"`, `"1.0"`)
}

// quoted is a text as JSON.
func quoted(text string) string { return `"` + text + `"` }
