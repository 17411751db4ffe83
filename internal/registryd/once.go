package registryd

import "net/http"

// begunOnce keeps from clients, and from the log, what distribution tells after it has begun an answer: of a client
// that is gone, or of what has failed on the way, it tells by a second status.
func begunOnce(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&onceAnswer{ResponseWriter: w}, r)
	})
}

// onceAnswer is over when it would be begun again.
type onceAnswer struct {
	http.ResponseWriter
	begun, over bool
}

// WriteHeader sends the first status.
func (a *onceAnswer) WriteHeader(status int) {
	a.over = a.begun
	if a.begun {
		return
	}
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

// Write sends p, unless the answer is over.
func (a *onceAnswer) Write(p []byte) (int, error) {
	if a.over {
		return len(p), nil
	}
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *onceAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
