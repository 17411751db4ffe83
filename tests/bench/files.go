package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// A fileServer serves the files of the hall in dir with nothing but Go's net/http, which is what a server in Go
// takes at least.
type fileServer struct {
	dir, address string
	secure       bool
}

func (f fileServer) serve() error {
	server := &http.Server{
		Addr: f.address, ReadHeaderTimeout: time.Minute,
		// HTTP/1.1, as all are asked.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			file, err := os.Open(filepath.Join(f.dir, "data", filepath.Clean("/"+r.URL.Path)))
			if err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
				return
			}
			defer file.Close()
			w.Header()["Content-Type"] = []string{"application/octet-stream"}
			http.ServeContent(w, r, "", time.Time{}, file)
		}),
	}
	if f.secure {
		return server.ListenAndServeTLS(filepath.Join(f.dir, "cert.pem"), filepath.Join(f.dir, "key.pem"))
	}
	return server.ListenAndServe()
}
