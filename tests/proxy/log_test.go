package proxy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExchange(t *testing.T) {
	at := time.Date(2025, 11, 25, 10, 3, 45, 123e6, time.Local)
	for _, test := range []struct {
		line string
		want Exchange
	}{
		{
			`10.0.0.4:3984 [25/Nov/2025:10:03:45.123] haproxy-5000~ app/app-0 0/0/1/1/2 200 177 - - ---- 1/1/0/0/0 0/0 "GET /a b HTTP/1.1"`,
			Exchange{at, "10.0.0.4:3984", "app-0", true, "--", 200, "GET /a b HTTP/1.1"},
		},
		{
			`10.0.0.4:3984 [25/Nov/2025:10:03:45.123] haproxy-5000 app/app-0 0/3003/-1/-1/3003 503 217 - - SC-- 1/1/0/0/3 0/0 "GET / HTTP/1.1"`,
			Exchange{at, "10.0.0.4:3984", "app-0", false, "SC", 503, "GET / HTTP/1.1"},
		},
		{
			`10.0.0.4:3984 [25/Nov/2025:10:03:45.123] haproxy-5000 app/<NOSRV> -1/-1/-1/-1/0 -1 0 - - CR-- 1/1/0/0/0 0/0 "<BADREQ>"`,
			Exchange{at, "10.0.0.4:3984", "", false, "CR", -1, "<BADREQ>"},
		},
		{
			`10.0.0.4:3984 [25/Nov/2025:10:03:45.123] haproxy-5000 app/app-1 1/0/5007 212 SD 1/1/0/0/0 0/0`,
			Exchange{at, "10.0.0.4:3984", "app-1", true, "SD", 0, ""},
		},
		{`[WARNING]  (19) : Server app/app-0 is DOWN, reason: Layer4 connection problem, check duration: 0ms. 0 active`, Exchange{}},
		{`Server app/app-0 is UP.`, Exchange{}},
	} {
		got, ok := exchange(test.line)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != (test.want != Exchange{}) {
			t.Errorf("%s: %v\n%s", test.line, ok, diff)
		}
	}
}
