package proxy_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"docker-registry-operator/tests/machine"
)

// TestUploadFailsOver begins an upload through the proxy, kills the unit that has taken its first half,
// and goes on. Units whose images are in one place take it up from each other, because all of them sign
// the state of an upload with the same secret.
func TestUploadFailsOver(t *testing.T) {
	s := newSite(t)
	var machines []*machine.Machine
	for _, name := range []string{"unit-0", "unit-1"} {
		m := s.machine(name)
		check(t, m.Command(s.ctx, "mkdir", "/srv/registry").Run())
		machines = append(machines, m)
	}
	check(t, machines[0].Share("/srv/registry", machines[1]))
	s.deployOn(machines, nil)
	primary, backup := s.app.Units()[0], s.app.Units()[1]
	s.settle(primary, "docker-registry-0", "(docker-registry-1)")

	blob := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	half := len(blob) / 2
	through := registry{s.url(), s.client(s.front.Address())}
	t.Cleanup(through.client.CloseIdleConnections)
	location, err := through.begin("spread")
	check(t, err)
	location, err = through.send(http.MethodPatch, location, blob[:half], http.StatusAccepted)
	check(t, err)

	// What a unit does not sign, none takes.
	_, state, _ := strings.Cut(location, "_state=")
	forged := strings.Replace(location, state[:8], "AAAAAAAA", 1)
	if _, err := through.send(http.MethodPatch, forged, blob[half:], http.StatusAccepted); err == nil || !strings.Contains(err.Error(), "BLOB_UPLOAD_INVALID") {
		t.Errorf("with a forged state: %v", err)
	}

	s.kill(primary, supervisorProcess+"|"+registryProcess)
	location, err = through.send(http.MethodPatch, location, blob[half:], http.StatusAccepted)
	check(t, err)
	_, err = through.send(http.MethodPut, location+"&digest="+digest(blob), nil, http.StatusCreated)
	check(t, err)
	s.wantBlob(backup.Machine(), blob)

	// The one that was killed comes back to it.
	primary.UpdateStatus()
	check(t, s.app.WaitIdle(s.ctx))
	s.wantBlob(primary.Machine(), blob)
}

// wantBlob wants the registry on a machine to have what was uploaded.
func (s *site) wantBlob(on *machine.Machine, blob []byte) {
	s.Helper()
	client := s.client(on.Address())
	defer client.CloseIdleConnections()
	p := puller{registry: registry{s.url(), client}}
	check(s.T, p.get("/v2/spread/blobs/"+digest(blob), blob))
}
