package relay_test

import (
	"io"
	"net"
	"testing"

	"docker-registry-operator/tests/engine/relay"
)

// echo answers each connection with what it sends.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(connection, connection)
				_ = connection.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func say(connection net.Conn, text string) (string, error) {
	if _, err := connection.Write([]byte(text)); err != nil {
		return "", err
	}
	answer := make([]byte, len(text))
	_, err := io.ReadFull(connection, answer)
	return string(answer), err
}

func TestRelay(t *testing.T) {
	r, err := relay.Start("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	first, err := net.Dial("tcp", r.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if got, err := say(first, "hello"); err != nil || got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}

	r.Hold()
	answered := make(chan string)
	go func() {
		got, err := say(first, "held")
		if err != nil {
			got = err.Error()
		}
		answered <- got
	}()
	select {
	case got := <-answered:
		t.Errorf("a held relay passed on %q", got)
	default:
	}
	r.Release()
	if got := <-answered; got != "held" {
		t.Errorf("after the release got %q", got)
	}

	r.Cut()
	if got, err := say(first, "cut"); err == nil {
		t.Errorf("a cut connection passed on %q", got)
	}
	if connection, err := net.Dial("tcp", r.Address()); err == nil {
		_ = connection.Close()
		t.Error("a cut relay takes connections")
	}
	if err := r.Mend(); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", r.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if got, err := say(second, "mended"); err != nil || got != "mended" {
		t.Errorf("after the cut got %q, %v", got, err)
	}
}
