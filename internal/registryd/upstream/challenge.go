package upstream

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// challenge is one of those in a WWW-Authenticate header (RFC 9110, section 11.6.1).
type challenge struct {
	scheme     string
	parameters map[string]string
}

// challengesOf are the challenges of an answer, one a header as registries send them.
func challengesOf(response *http.Response) []challenge {
	var found []challenge
	parameter := regexp.MustCompile(`([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))`)
	for _, header := range response.Header.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
		c := challenge{scheme: strings.ToLower(scheme), parameters: make(map[string]string)}
		for _, match := range parameter.FindAllStringSubmatch(rest, -1) {
			// A challenge that follows in the same header must not change the first.
			if name := strings.ToLower(match[1]); c.parameters[name] == "" {
				c.parameters[name] = match[2] + match[3]
			}
		}
		found = append(found, c)
	}
	return found
}

func pick(challenges []challenge, scheme string) (challenge, bool) {
	for _, c := range challenges {
		if c.scheme == scheme {
			return c, true
		}
	}
	return challenge{}, false
}

// trusts says that an authorization service may be told the credentials for base: it is
// at the same host or of the same domain, as distribution demands too, and no password
// goes there in the clear that came encrypted so far.
func trusts(base, realm *url.URL) bool {
	switch {
	case realm.Scheme != "https" && realm.Scheme != base.Scheme:
		return false
	case strings.EqualFold(base.Host, realm.Host):
		return true
	}
	domain := domainOf(base.Hostname())
	return domain != "" && domain == domainOf(realm.Hostname())
}

// domainOf is what somebody registered of a host name, "" if it is an address.
func domainOf(host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(host))
	if err != nil {
		return ""
	}
	return domain
}
