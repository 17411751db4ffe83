package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A puller asks for the same thing again and again, at less cost than the client of the standard library.
type puller struct {
	net.Conn
	request []byte
	in      *bufio.Reader
}

func dial(ctx context.Context, address string, secure bool, path string) (*puller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // its certificate is of no interest here
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", path, address, manifestType)
	return &puller{Conn: conn, request: request, in: bufio.NewReaderSize(conn, small)}, nil
}

func (p *puller) pull() error {
	if _, err := p.Write(p.request); err != nil {
		return err
	}
	length := int64(-1)
	status, err := p.in.ReadString('\n')
	for line := status; err == nil && line != "\r\n"; {
		if line, err = p.in.ReadString('\n'); err != nil {
			break
		}
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") || length < 0 {
		return fmt.Errorf("answer %q of %d bytes", status, length)
	}
	_, err = io.CopyN(io.Discard, p.in, length)
	return err
}

// A process is a server that a host consists of.
type process struct {
	*server
	address string
}

// used is the processor time that the process has taken so far.
func (p *process) used() (time.Duration, error) {
	text, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // the name in front may hold anything
	fields := bytes.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot understand %s", p.proc("stat"))
	}
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0, err
		}
		ticks += time.Duration(n)
	}
	return ticks * tick, nil
}

// digestPath is where distribution keeps a blob.
func digestPath(digest string) string {
	digits := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join("/docker/registry/v2/blobs/sha256", digits[:2], digits, "data")
}
