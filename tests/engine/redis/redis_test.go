package redis_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"docker-registry-operator/tests/engine/redis"
)

// ask sends commands, each on a line, and returns the first line of each answer.
func ask(t *testing.T, address string, commands ...string) []string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	answers := bufio.NewReader(connection)
	var lines []string
	for _, command := range commands {
		if _, err := fmt.Fprintf(connection, "%s\r\n", command); err != nil {
			t.Fatal(err)
		}
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func TestSentinel(t *testing.T) {
	if missing := redis.Missing(); len(missing) > 0 {
		t.Skipf("missing: %s", missing)
	}
	s, err := redis.Start(t.Context(), redis.Options{Sentinel: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	got := ask(t, s.Address, "PING", "AUTH "+s.Password, "PING")
	if !strings.HasPrefix(got[0], "-NOAUTH") || got[1] != "+OK" || got[2] != "+PONG" {
		t.Errorf("the server answers %q", got)
	}
	if got := ask(t, s.SentinelAddress, "SENTINEL get-master-addr-by-name "+redis.Master); got[0] != "*2" {
		t.Errorf("the sentinel answers %q", got)
	}
}
