package oci

import (
	"net/http"
	"strconv"
	"strings"
)

const (
	blobType = "application/octet-stream"
	// noRange is what the application refuses as a range that does not follow what it has.
	noRange = "1-0"
)

// legible is a request of an upload as the application understands it. What it is sent it takes for a form if
// the client calls it one, and it answers to a type or a range that it does not know with an error of its own.
func legible(r *http.Request) *http.Request {
	kind, span := r.Header.Get("Content-Type"), r.Header.Get("Content-Range")
	foreignKind, foreignSpan := kind != "" && kind != blobType, span != "" && !isRange(span)
	if !foreignKind && !foreignSpan {
		return r
	}
	r = r.Clone(r.Context())
	if foreignKind {
		r.Header.Set("Content-Type", blobType)
	}
	if foreignSpan {
		r.Header.Set("Content-Range", noRange)
	}
	return r
}

func isRange(text string) bool {
	first, last, _ := strings.Cut(text, "-")
	_, firstErr := strconv.ParseUint(first, 10, 63)
	_, lastErr := strconv.ParseUint(last, 10, 63)
	return firstErr == nil && lastErr == nil
}
