package storagetest

import (
	"bytes"
	"net/http"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/tests/engine/redis"
)

// TestSharedUpload begins an upload on one registry and ends it on another with the same storage.
func TestSharedUpload(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		one := startRegistry(t, b, storage).client()
		other := startRegistry(t, b, storage).client()
		layer := newBlob(t, 'w', 24*mebibyte+3)
		location, err := one.begin("app")
		must(t, err)
		location, err = one.patch(location, layer, 0, 10*mebibyte)
		must(t, err)
		location, err = other.patch(at(t, location, other), layer, 10*mebibyte, 16*mebibyte+1)
		must(t, err)
		location, size, err := one.status(at(t, location, one))
		must(t, err)
		if size != 16*mebibyte+1 {
			t.Fatalf("one registry has %d bytes of what the other has taken", size)
		}
		must(t, other.commit(at(t, location, other), layer, size))
		must(t, one.pull("app", layer))
		must(t, other.pull("app", layer))
	})
}

// TestSharedDelete deletes on one registry what the other has served, with every kind of cache that units
// side by side may have.
func TestSharedDelete(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		t.Run("uncached", func(t *testing.T) { sharedDelete(t, b, section{}) })
		t.Run("redis", func(t *testing.T) { sharedDelete(t, b, startRedis(t)) })
	})
}

// startRedis starts a cache that registries may share, and returns the sections for it.
func startRedis(t *testing.T) section {
	t.Helper()
	server := runRedis(t, redis.Options{})
	return cachedBy(section{"addrs": []string{server.Address}, "password": server.Password})
}

func sharedDelete(t *testing.T, b *backend, cache section) {
	t.Helper()
	storage := b.storage(directory(t), b.address)
	one, other := startRegistry(t, b, storage, cache).client(), startRegistry(t, b, storage, cache).client()
	layer := newBlob(t, 'x', mebibyte)
	image := manifest(layer)
	must(t, one.pushImage("app", "v1", layer))
	must(t, one.pullImage("app", "v1", layer))
	must(t, other.pullImage("app", "v1", layer))
	must(t, one.delete("app", "/manifests/"+digestOf(image)))
	must(t, one.delete("app", "/blobs/"+layer.digest))
	for _, c := range []*client{other, one} {
		must(t, c.gone("app", "/manifests/v1"))
		must(t, c.gone("app", "/manifests/"+digestOf(image)))
		must(t, c.gone("app", "/blobs/"+layer.digest))
	}
	must(t, other.pushImage("app", "v1", layer))
	must(t, one.pullImage("app", "v1", layer))
}

// TestReadOnlyBeside serves to everybody, read-only, what is pushed with a password elsewhere.
func TestReadOnlyBeside(t *testing.T) {
	each(t, everywhere, func(t *testing.T, b *backend) {
		storage := b.storage(directory(t), b.address)
		public := startRegistry(t, b, storage, section{
			"storage": section{"maintenance": section{"readonly": section{"enabled": true}}},
		})
		private := newRegistry(t, b, storage)
		private.protect("admin", "private-password")
		private.start()
		layer := newBlob(t, 'y', mebibyte)

		admin := private.client()
		admin.user, admin.password = "admin", "private-password"
		must(t, admin.pushImage("app", "v1", layer))
		must(t, public.client().pullImage("app", "v1", layer))
		refused := []request{
			{method: http.MethodPost, path: "/v2/app/blobs/uploads/"},
			{method: http.MethodDelete, path: "/v2/app/manifests/" + digestOf(manifest(layer))},
			{method: http.MethodPut, path: "/v2/app/manifests/v2", body: bytes.NewReader(manifest(layer))},
		}
		for _, r := range refused {
			_, err := public.client().want(http.StatusMethodNotAllowed, r)
			must(t, err)
			_, err = private.client().want(http.StatusUnauthorized, r)
			must(t, err)
		}
		must(t, admin.pullImage("app", "v1", layer))
	})
}

// at is the location of an upload at another registry than the one that told it.
func at(t *testing.T, location string, c *client) string {
	t.Helper()
	moved, err := c.relocate(location)
	must(t, err)
	return moved
}

// protect asks for a password.
func (r *registry) protect(user, password string) {
	r.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(r.t, err)
	r.write("htpasswd", []byte(user+":"+string(hash)+"\n"))
	r.secrets = append(r.secrets, password)
	r.configure(section{"auth": section{"htpasswd": section{"realm": "registry", "path": r.path("htpasswd")}}})
}
