package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// failure is why the upstream could not be used, as a client is to be told.
type failure struct {
	status     int
	code       errcode.ErrorCode
	message    string
	retryAfter string
	// silent says that the upstream could not be reached or did not answer in time.
	silent bool
	// reason is the cause in few words.
	reason string
}

func (f *failure) Error() string { return f.message + ": " + f.reason }

// refusedError is a token that the upstream's authorization service did not give.
type refusedError struct {
	status     int
	text       string
	retryAfter string
}

func (e *refusedError) Error() string { return "token refused: " + e.text }

// judge tells what came of a request: nil if the upstream answered what it knows, also
// if that is that it does not have the content.
func judge(response *http.Response, err error) *failure {
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return rejected(refused.status, refused.text, refused.retryAfter)
	case err != nil:
		return unreachable(err)
	case response.StatusCode < 400,
		response.StatusCode == http.StatusNotFound,
		response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil
	}
	return rejected(response.StatusCode, response.Status, response.Header.Get("Retry-After"))
}

// unreachable is told as a gateway tells it: clients that have another mirror go on to
// that one, and others know that a second try may help.
func unreachable(err error) *failure {
	f := &failure{
		status: http.StatusBadGateway, code: errcode.ErrorCodeUnavailable,
		message: "upstream registry does not answer", silent: true, reason: reasonOf(err),
	}
	if f.reason == timedOut {
		f.status = http.StatusGatewayTimeout
	}
	return f
}

// rejected is an answer that is of no use. Of the client's own credentials it says
// nothing, so it must not look as if these were wrong.
func rejected(status int, text, retryAfter string) *failure {
	f := &failure{status: http.StatusBadGateway, code: errcode.ErrorCodeUnavailable, reason: text}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.status, f.code = http.StatusForbidden, errcode.ErrorCodeDenied
		f.message = "upstream registry does not let this cache have it"
	case http.StatusTooManyRequests:
		f.status, f.code = http.StatusTooManyRequests, errcode.ErrorCodeTooManyRequests
		f.message, f.retryAfter = "upstream registry has had too many requests of this cache", retryAfter
	default:
		f.message = fmt.Sprintf("upstream registry answered %d", status)
	}
	return f
}

const timedOut = "timed out"

// reasonOf is the innermost cause that says something, the same for each try: without
// addresses, of which one changes each time, and without the URL.
func reasonOf(err error) string {
	var (
		web      *url.Error
		network  *net.OpError
		deadline interface{ Timeout() bool }
	)
	if errors.As(err, &web) {
		err = web.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &deadline) && deadline.Timeout():
		return timedOut
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "connection closed"
	}
	prefix := ""
	for errors.As(err, &network) {
		if network.Op == "proxyconnect" {
			prefix = "proxy: "
		}
		err = network.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return prefix + err.Error()
}
