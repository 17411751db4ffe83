package swift

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ncw/swift/v2"
)

// How long a request is tried again.
const (
	// brief is for what has an answer of its own while Swift is away: a start, a health
	// check.
	brief = 5 * time.Second
	// patience is for what a client waits for: a lookup, a listing.
	patience = 30 * time.Second
	// endurance is for what would be lost otherwise: a part of a push or of a pull.
	endurance = time.Minute
	// settling is for an object that was written a moment ago and is not there yet.
	settling = 3 * time.Second
)

var (
	errMissing = errors.New("no such object")
	// errUnsettled is errMissing of an object that was written a moment ago.
	errUnsettled = errors.New("object is not there yet")
	// errIncomplete says that some segments of an object are not there yet, or lost.
	errIncomplete = errors.New("a part of the object is missing")
	// errReplaced says that an object is not the one any more that was read so far.
	errReplaced = errors.New("the object was replaced")
)

func missing(err error) bool { return errors.Is(err, errMissing) }

// retry does what op says until it succeeds, cannot succeed, or budget has passed.
func retry[T any](ctx context.Context, budget time.Duration, op func() (T, error)) (T, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = 100 * time.Millisecond
	pause.MaxInterval = 5 * time.Second
	started := time.Now()
	return backoff.Retry(ctx, func() (T, error) {
		result, err := op()
		settled := errors.Is(err, errUnsettled) && time.Since(started) >= settling
		if err != nil && (settled || !temporary(err)) {
			return result, backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(budget))
}

// temporary says that a request may succeed when it is made again.
func temporary(err error) bool {
	var status refused
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errMissing), errors.Is(err, errReplaced), errors.Is(err, context.Canceled), errors.As(err, &untrusted):
		return false
	case !errors.As(err, &status):
		return true // not there yet, or the connection broke
	}
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, rateLimited:
		return true
	}
	return status >= 500
}

// rateLimited is Swift's own status where others answer 429.
const rateLimited = 498

// refused is the status of an answer that is not what was asked for. The answer's text is
// left out: it is a page for people who look at it with a browser.
type refused int

// Error says in words what the status means.
func (r refused) Error() string {
	because := http.StatusText(int(r))
	switch r {
	case http.StatusUnauthorized:
		because = "the user name, password, tenant or domain is wrong"
	case http.StatusForbidden:
		because = "the user may not do this"
	case http.StatusRequestEntityTooLarge:
		because = "a quota is reached"
	case http.StatusInsufficientStorage:
		because = "its disks are full"
	case http.StatusConflict:
		because = "a part of the object is missing"
	case rateLimited:
		because = "there are too many requests"
	}
	return fmt.Sprintf("Swift answers %d: %s", int(r), because)
}

// asRefused puts a status in the place of the library's error that tells of it.
func asRefused(err error) error {
	var answer *swift.Error
	if errors.As(err, &answer) && answer.StatusCode != 0 {
		return refused(answer.StatusCode)
	}
	return err
}
