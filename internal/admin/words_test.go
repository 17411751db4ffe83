package admin_test

import (
	"strings"
	"testing"

	"docker-registry-operator/internal/admin"
)

func TestLastWords(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "\n \n", ""},
		{"last line", "starting\nlisten tcp :5000: bind: address already in use\n\n", "listen tcp :5000: bind: address already in use"},
		{"panic", "hello\npanic: unknown driver\n\ngoroutine 1 [running]:\nmain.main()\n\t/go/src/main.go:12 +0x1d\n", "unknown driver"},
		{"long", strings.Repeat("é", 400), strings.Repeat("é", 150) + "..."},
		{"cut within a letter", "x" + strings.Repeat("é", 400), "x" + strings.Repeat("é", 149) + "..."},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := admin.LastWords(test.in); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
