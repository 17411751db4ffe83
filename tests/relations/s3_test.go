package relations

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/tests/authority"
	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
)

// A store is the least of an S3 service, with a certificate of an authority that machines do not know: all
// of its buckets are empty.
type store struct {
	url, chain string
	server     *http.Server
	asked      atomic.Int64
}

func (s *site) newStore() *store {
	s.t.Helper()
	issuer, err := authority.New()
	s.must(err)
	chain, err := json.Marshal(issuer.Chain())
	s.must(err)
	options, err := issuer.Options(machine.Hub)
	s.must(err)
	pair, err := tls.X509KeyPair(decoded(options["tls-cert-blob"]), decoded(options["tls-key-blob"]))
	s.must(err)
	listener, err := s.network.Listen(s.ctx, "tcp", machine.Hub+":9000")
	s.must(err)
	stored := &store{url: "https://" + machine.Hub + ":9000", chain: string(chain)}
	stored.server = &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stored.asked.Add(1)
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = io.WriteString(w, `<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
		}),
	}
	s.t.Cleanup(func() { _ = stored.server.Close() })
	go func() {
		_ = stored.server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
	}()
	return stored
}

func decoded(text string) []byte {
	decoded, _ := base64.StdEncoding.DecodeString(text)
	return decoded
}

// told is what a provider of s3 tells of a bucket, but for the keys.
func (s *store) told() map[string]string {
	return map[string]string{"bucket": "images", "endpoint": s.url, "path": "registry", "tls-ca-chain": s.chain}
}

// TestS3Credentials takes the relation through its life, in both versions of its interface, with a leader
// and a follower.
func TestS3Credentials(t *testing.T) {
	keys := func(secret string) map[string]string {
		return map[string]string{"access-key": "AK", "secret-key": secret}
	}
	t.Run("version 0", func(t *testing.T) {
		s := newSite(t, 2, native())
		s.bucket(func(r *juju.Relation) { s.must(r.Set("s3-integrator", keys("first-key"))) },
			func(r *juju.Relation) { s.must(r.Set("s3-integrator", keys("second-key"))) })
	})
	t.Run("version 1", func(t *testing.T) {
		s := newSite(t, 2, native())
		var secret *juju.Secret
		s.bucket(func(r *juju.Relation) {
			secret = r.AddSecret(keys("first-key"))
			s.must(r.Set("s3-integrator", map[string]string{"secret-extra": secret.URI()}))
		}, func(*juju.Relation) { secret.Set(keys("second-key")) })
	})
}

// bucket relates to a provider that tells in turn of a bucket, of its keys, and of other ones.
func (s *site) bucket(tellKeys, changeKeys func(r *juju.Relation)) {
	s.t.Helper()
	stored := s.newStore()
	before := s.rendered()
	s.relate("s3-credentials", "s3-integrator")
	r := s.app.Relation("s3-credentials")
	const waiting = "waiting: waiting for s3-integrator, which is to tell where images are kept: it has not told "
	s.wantStatuses(waiting + "bucket, endpoint or region, access-key, secret-key")
	if asked := r.Get(s.app.Name()); asked["bucket"] != "docker-registry-5f0d3c6e" || asked["requested-secrets"] != `["access-key","secret-key"]` {
		s.t.Errorf("asked for %q", asked)
	}
	s.must(r.Set("s3-integrator", stored.told()))
	s.settle()
	s.wantStatuses(waiting + "access-key, secret-key")
	for _, u := range s.app.Units() {
		s.wantPlain(u)
	}
	tellKeys(r)
	s.settle()
	s.wantBucket(stored, "first-key", "")
	for _, u := range s.app.Units() {
		// One more call than for other relations: the secret.
		s.wantQuiet(u, 2)
	}
	changeKeys(r)
	s.settle()
	s.wantBucket(stored, "second-key", "")
	s.set(map[string]string{"storage-s3-bucket": "mine", "storage-s3-region": "eu-central-1"})
	s.wantStatuses("active: Ready at ADDRESS:5000 (http). Storage is from the options; s3-credentials is not used.")
	s.reset("storage-s3-bucket", "storage-s3-region")
	// Nobody could count what is in either of the two.
	const mine = ` Images may stay in s3 bucket "mine" at eu-central-1.`
	s.wantBucket(stored, "second-key", mine)
	s.must(stored.server.Close())
	s.wantFailure("blocked: storage fails: ")
	r.Remove()
	s.settle()
	theirs := ` Images may stay in s3 bucket "images" at ` + strings.TrimPrefix(stored.url, "https://") + ` below "registry".`
	s.wantStatuses("active: Ready at ADDRESS:5000 (http)." + mine + theirs)
	if diff := cmp.Diff(before, s.rendered()); diff != "" {
		s.t.Errorf("what registries are told (-before +after):\n%s", diff)
	}
}

// rendered is what every file for a unit's registry holds, by unit and path. The process itself is
// another one after all this, because its authorities were.
func (s *site) rendered() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, u := range s.app.Units() {
		dir := os.DirFS(u.Machine().Path("/etc/docker/registry"))
		s.must(fs.WalkDir(dir, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(dir, path)
			all[u.Name()+" "+path] = string(text)
			return err
		}))
	}
	return all
}

// wantFailure has update-status run until every unit's status begins so.
func (s *site) wantFailure(want string) {
	s.t.Helper()
	for _, u := range s.app.Units() {
		for !strings.HasPrefix(u.Status().String(), want) {
			s.must(s.ctx.Err())
			s.update(u)
		}
	}
}

func (s *site) wantStatuses(want string) {
	s.t.Helper()
	for _, u := range s.app.Units() {
		s.wantStatus(u, want)
	}
}

// wantBucket wants every unit to use the bucket with a secret key, to trust its authority, and to say
// what is in other storage.
func (s *site) wantBucket(stored *store, secret, left string) {
	s.t.Helper()
	for before := stored.asked.Load(); stored.asked.Load() == before; time.Sleep(10 * time.Millisecond) {
		s.must(s.ctx.Err())
	}
	s.wantStatuses("active: Ready at ADDRESS:5000 (http)." + left)
	for _, u := range s.app.Units() {
		text, err := os.ReadFile(u.Machine().Path("/etc/docker/registry/config.yml"))
		s.must(err)
		for _, line := range []string{
			"bucket: images", "regionendpoint: " + stored.url, "rootdirectory: registry", "region: us-east-1",
			"accesskey: AK", "secretkey: " + secret, "forcepathstyle: true",
		} {
			if !strings.Contains(string(text), line+"\n") {
				s.t.Errorf("%s: no %q in\n%s", u.Name(), line, text)
			}
		}
		files, err := os.ReadDir(u.Machine().Path("/etc/docker/registry/storage"))
		if err != nil || len(files) != 1 {
			s.t.Errorf("%s: authorities %v, %v", u.Name(), files, err)
		}
		for _, hook := range u.Hooks() {
			for _, line := range hook.Log {
				if strings.Contains(line.Message, secret) {
					s.t.Errorf("%s: logged: %s", u.Name(), line.Message)
				}
			}
		}
	}
}
