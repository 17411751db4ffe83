package htpasswd_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/htpasswd"
)

func keep(t *testing.T, current []byte, user, password string) []byte {
	t.Helper()
	file, err := htpasswd.Keep(current, user, config.NewSecret(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKeep(t *testing.T) {
	good := keep(t, nil, "admin", "s3cret")
	costly, err := htpasswd.Keep(nil, "admin", config.NewSecret("s3cret"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, in string
		kept     bool
	}{
		{name: "no file", in: ""},
		{name: "the same", in: string(good), kept: true},
		{name: "another password", in: string(keep(t, nil, "admin", "other"))},
		{name: "another user", in: string(keep(t, nil, "root", "s3cret"))},
		{name: "a higher cost", in: string(costly)},
		{name: "one user more", in: string(good) + string(keep(t, nil, "guest", "x"))},
		{name: "not bcrypt", in: "admin:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n"},
		{name: "cut off", in: strings.TrimSpace(string(good))},
		{name: "in the clear", in: "admin:s3cret\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := keep(t, []byte(test.in), "admin", "s3cret")
			if kept := string(file) == test.in; kept != test.kept {
				t.Errorf("kept: %v, want %v", kept, test.kept)
			}
			name, hash, _ := strings.Cut(strings.TrimSuffix(string(file), "\n"), ":")
			if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("s3cret")); err != nil || name != "admin" {
				t.Errorf("user %q: %v", name, err)
			}
			if again := keep(t, file, "admin", "s3cret"); string(again) != string(file) {
				t.Error("a second time it makes another file")
			}
		})
	}
}

func TestKeepRaisesTheCost(t *testing.T) {
	weak := keep(t, nil, "admin", "s3cret")
	file, err := htpasswd.Keep(weak, "admin", config.NewSecret("s3cret"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	if string(file) == string(weak) {
		t.Error("a file of a lower cost was kept")
	}
}

func TestKeepLongPassword(t *testing.T) {
	long := strings.Repeat("p", 73)
	_, err := htpasswd.Keep(nil, "admin", config.NewSecret(long), bcrypt.MinCost)
	want := `cannot hash password of user "admin": bcrypt: password length exceeds 72 bytes`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMarker(t *testing.T) {
	key, password := config.NewSecret("key"), config.NewSecret("s3cret")
	base := htpasswd.Marker(key, "admin", password, 5, []byte("file"))
	if again := htpasswd.Marker(key, "admin", password, 5, []byte("file")); again != base {
		t.Error("it differs from call to call")
	}
	for name, other := range map[string]string{
		"key":      htpasswd.Marker(password, "admin", password, 5, []byte("file")),
		"user":     htpasswd.Marker(key, "admi", password, 5, []byte("file")),
		"password": htpasswd.Marker(key, "admin", key, 5, []byte("file")),
		"cost":     htpasswd.Marker(key, "admin", password, 6, []byte("file")),
		"file":     htpasswd.Marker(key, "admin", password, 5, []byte("fil")),
		"border":   htpasswd.Marker(key, "admins", config.NewSecret("3cret"), 5, []byte("file")),
	} {
		if other == base {
			t.Errorf("%s does not matter", name)
		}
	}
}

// BenchmarkVerify is what a registry computes at each request that it does not
// remember: docs/decisions/bcrypt-cost.md. Processor time is counted beside the time
// that passes, because that depends on who else uses the machine.
func BenchmarkVerify(b *testing.B) {
	for cost := bcrypt.MinCost; cost <= 12; cost++ {
		hash, err := bcrypt.GenerateFromPassword([]byte("s3cret"), cost)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("cost=%d", cost), func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if err := bcrypt.CompareHashAndPassword(hash, []byte("s3cret")); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
