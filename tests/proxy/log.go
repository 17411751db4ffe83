package proxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Exchange is what HAProxy logged of one request or, in mode tcp, of one connection, when it was over.
type Exchange struct {
	// At is when it began, to the millisecond.
	At time.Time

	// Client is the address and port that the connection came from.
	Client string

	// Server is the name of the server that it was last given to, empty if there was none.
	Server string

	// Connected says that this server had accepted the connection.
	Connected bool

	// End is how it ended: -- as it should, S. by the server, C. by the client, and so on.
	// HAProxy's documentation calls it the termination state.
	End string

	// Status and Request are the answer's and the request's first line, 0 and empty in mode tcp.
	Status  int
	Request string
}

// Exchanges returns all that HAProxy has logged. It logs a few milliseconds late.
func (p *Proxy) Exchanges() ([]Exchange, error) {
	log, err := p.machine.ReadFile(logFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read log of haproxy: %w", err)
	}
	var found []Exchange
	for line := range strings.Lines(string(log)) {
		if e, ok := exchange(strings.TrimSuffix(line, "\n")); ok {
			found = append(found, e)
		}
	}
	return found, nil
}

// exchange reads a line such as
//
//	10.0.0.4:39846 [25/Nov/2025:10:03:45.123] haproxy-5000 app/app-0 0/0/0/1/1 200 177 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"
//	10.0.0.4:39846 [25/Nov/2025:10:03:45.123] haproxy-5000 app/app-0 1/0/5007 212 -- 1/1/0/0/0 0/0
//
// of which the first is of mode http. Other lines are about HAProxy itself.
func exchange(line string) (Exchange, bool) {
	fields := strings.SplitN(line, " ", 13)
	if len(fields) < 9 {
		return Exchange{}, false
	}
	at, err := time.ParseInLocation("[02/Jan/2006:15:04:05.000]", fields[1], time.Local)
	if err != nil {
		return Exchange{}, false
	}
	_, server, _ := strings.Cut(fields[3], "/")
	e := Exchange{At: at, Client: fields[0], Server: strings.TrimPrefix(server, "<NOSRV>")}
	times := strings.Split(fields[4], "/")
	switch {
	case len(times) == 3:
		e.Connected, e.End = times[1] != "-1", fields[6]
	case len(times) == 5 && len(fields) == 13:
		e.Connected, e.End = times[2] != "-1", fields[9][:2]
		e.Status, _ = strconv.Atoi(fields[5])
		e.Request = strings.Trim(fields[12], `"`)
	default:
		return Exchange{}, false
	}
	return e, true
}
