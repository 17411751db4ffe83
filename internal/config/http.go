package config

import "strings"

// HTTP says where the registry listens and how clients are told to reach it.
type HTTP struct {
	// Host is option http-host: the URL by which clients reach the registry, or
	// the zero URL. It has a scheme and a netloc (host or host:port), no query; its
	// path is empty or ends with a slash.
	Host URL
	// Port and DebugPort are TCP ports, 1 to 65535, and differ.
	Port, DebugPort int
	// Metrics serves Prometheus metrics on DebugPort at /metrics.
	Metrics bool
}

func (r *reader) http() HTTP {
	http := HTTP{
		Host:      r.url("http-host"),
		Port:      r.num("registry-port", 1, 65535),
		DebugPort: r.num("debug-port", 1, 65535),
		Metrics:   r.flag("prometheus-metrics"),
	}
	// The registry resolves its own locations against this URL, which drops what
	// stands behind the last slash.
	if path := http.Host.Path; path != "" && !strings.HasSuffix(path, "/") {
		http.Host.Path += "/"
	}
	if http.Port != 0 && http.Port == http.DebugPort {
		r.complain("debug-port", `must differ from "registry-port"`)
	}
	return http
}
