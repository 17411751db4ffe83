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

// one is the only user of a file.
func one(name, password string) []config.User {
	return []config.User{{Name: name, Password: config.NewSecret(password)}}
}

func keep(t *testing.T, current []byte, user, password string) []byte {
	t.Helper()
	return text(t, current, one(user, password), bcrypt.MinCost)
}

// text is a file of which nothing is known beforehand.
func text(t *testing.T, current []byte, users []config.User, cost int) []byte {
	t.Helper()
	file, err := htpasswd.Keep(htpasswd.File{Text: current}, users, cost, config.NewSecret("key"))
	if err != nil {
		t.Fatal(err)
	}
	return file.Text
}

func TestKeep(t *testing.T) {
	good := keep(t, nil, "admin", "s3cret")
	costly := text(t, nil, one("admin", "s3cret"), bcrypt.MinCost+1)
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
	file := text(t, weak, one("admin", "s3cret"), bcrypt.MinCost+1)
	if string(file) == string(weak) {
		t.Error("a file of a lower cost was kept")
	}
}

func TestKeepLongPassword(t *testing.T) {
	long := strings.Repeat("p", 73)
	_, err := htpasswd.Keep(htpasswd.File{}, one("admin", long), bcrypt.MinCost, config.NewSecret("key"))
	want := `cannot hash password of user "admin": bcrypt: password length exceeds 72 bytes`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestKeepMany changes one of several users, and leaves the lines of the others alone.
func TestKeepMany(t *testing.T) {
	given, err := bcrypt.GenerateFromPassword([]byte("given"), bcrypt.MinCost+2)
	if err != nil {
		t.Fatal(err)
	}
	users := append(one("admin", "s3cret"), one("ci", "builds")...)
	users = append(users, config.User{Name: "guest", Hash: config.NewSecret(string(given))})
	first := text(t, nil, users, bcrypt.MinCost)
	if again := text(t, first, users, bcrypt.MinCost); string(again) != string(first) {
		t.Error("a second time it makes another file")
	}
	users[1].Password = config.NewSecret("changed")
	second := text(t, first, users, bcrypt.MinCost)
	before, after := strings.Split(string(first), "\n"), strings.Split(string(second), "\n")
	if after[0] != before[0] || after[1] == before[1] || after[2] != "guest:"+string(given) {
		t.Errorf("it changes\n%s\nto\n%s", first, second)
	}
	if fewer := text(t, second, users[:1], bcrypt.MinCost); string(fewer) != after[0]+"\n" {
		t.Errorf("with users gone it holds\n%s", fewer)
	}
}

// TestMarks tells by a hash that cannot be verified whether one with a mark is: it stays
// as long as nothing changes that it was made from.
func TestMarks(t *testing.T) {
	key := config.NewSecret("key")
	marked, err := htpasswd.Keep(htpasswd.File{}, one("admin", "s3cret"), bcrypt.MinCost, key)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := htpasswd.Keep(htpasswd.File{}, one("admin", "other"), bcrypt.MinCost, key)
	if err != nil {
		t.Fatal(err)
	}
	hashed := []config.User{{Name: "admin", Hash: config.NewSecret("$2y$04$x")}}
	for _, test := range []struct {
		name  string
		file  htpasswd.File
		users []config.User
		cost  int
		key   string
		kept  bool
	}{
		{name: "the same", file: marked, users: one("admin", "s3cret"), key: "key", kept: true},
		{name: "another cost", file: marked, users: one("admin", "s3cret"), cost: 1, key: "key"},
		{name: "another password", file: marked, users: one("admin", "3cret"), key: "key"},
		{name: "a hash instead", file: marked, users: hashed, key: "key"},
		{name: "another user", file: marked, users: one("admins", "3cret"), key: "key"},
		{name: "another file", file: htpasswd.File{Text: foreign.Text, Marks: marked.Marks}, users: one("admin", "s3cret"), key: "key"},
		{name: "another key, of a line that verifies", file: marked, users: one("admin", "s3cret"), key: "other", kept: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := htpasswd.Keep(test.file, test.users, bcrypt.MinCost+test.cost, config.NewSecret(test.key))
			if err != nil {
				t.Fatal(err)
			}
			if kept := string(got.Text) == string(test.file.Text); kept != test.kept {
				t.Errorf("kept: %t, want %t", kept, test.kept)
			}
			if same := got.Marks == test.file.Marks; same != (test.kept && test.key == "key") {
				t.Errorf("marks are the same: %t", same)
			}
		})
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
