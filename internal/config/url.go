package config

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// URL is an absolute http or https URL.
type URL struct {
	Scheme, Netloc, Path string
}

// String is the URL as text, "" for the zero URL.
func (u URL) String() string {
	if u.Netloc == "" {
		return ""
	}
	return u.Scheme + "://" + u.Netloc + u.Path
}

// url is an option that holds an absolute URL without credentials, query and
// fragment, or the zero URL if it is empty.
func (r *reader) url(name string) URL {
	text := r.text(name)
	if text == "" {
		return URL{}
	}
	parsed, fault := parseURL(text)
	switch {
	case fault != "":
		r.complain(name, "%s", fault)
	case parsed.User != nil:
		r.complain(name, "must not hold a user name or password")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		r.complain(name, "must end after the path, without ? or #")
	default:
		return URL{Scheme: parsed.Scheme, Netloc: parsed.Host, Path: parsed.EscapedPath()}
	}
	return URL{}
}

// parseURL is an absolute http or https URL, or what is wrong with it. The text may
// hold a password, so it is repeated only if it is no more than a host.
func parseURL(text string) (parsed *url.URL, fault string) {
	if !strings.Contains(text, "://") {
		if bareHost().MatchString(text) {
			return nil, `has no scheme: type "https://` + text + `" or "http://` + text + `"`
		}
		return nil, `must be a URL such as "https://registry.example.com"`
	}
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, `must be a URL such as "https://registry.example.com"`
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return nil, "must start with https:// or http://"
	case !hostName().MatchString(parsed.Hostname()):
		return nil, "must have a host name or an address after ://"
	case !validPort(parsed):
		return nil, "must have a port from 1 to 65535"
	}
	return parsed, ""
}

func validPort(parsed *url.URL) bool {
	if strings.HasSuffix(parsed.Host, ":") {
		return false
	}
	if parsed.Port() == "" {
		return true
	}
	port, err := strconv.Atoi(parsed.Port())
	return err == nil && port >= 1 && port <= 65535
}

// hostName matches a host name, an IPv4 or an IPv6 address.
func hostName() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$`)
}

// bareHost matches a host with, perhaps, a port and a path.
func bareHost() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$`)
}
