package config

import (
	"regexp"
	"strings"
)

// Mirror makes the registry a pull-through cache of another one.
type Mirror struct {
	URL URL
	// Username and Password are both set, or both not.
	Username string
	Password Secret
	// TTL is how long content is kept, as Go writes durations; "0s" is for ever.
	TTL string
}

// DefaultTTL is how long every registry keeps content that is not told for how long.
const DefaultTTL = "168h"

func (r *reader) mirror() *Mirror {
	mirror := Mirror{
		URL:      r.url("cache-remoteurl"),
		Username: r.text("cache-username"),
		Password: r.secret("cache-password"),
		TTL:      r.lifetime("cache-ttl"),
	}
	if r.complained("cache-password") || r.complained("cache-username") {
		return nil
	}
	credentials := r.together("the credentials of a pull-through cache",
		setting{"cache-username", mirror.Username != ""},
		setting{"cache-password", !mirror.Password.IsZero()},
	)
	if mirror.URL != (URL{}) {
		return &mirror
	}
	if credentials {
		r.complainOnce("cache-remoteurl", `must be set together with "cache-username" and "cache-password"`)
	}
	return nil
}

// lifetime is a duration of hours, minutes and seconds, "0s" for 0.
func (r *reader) lifetime(name string) string {
	text := r.text(name)
	if text == "0" {
		return "0s"
	}
	if text == "" || !lifetimes().MatchString(text) || !strings.ContainsAny(text, "123456789") {
		r.complainOnce(name, `must be a duration such as "168h" or "90m", or "0" to keep everything`)
		return ""
	}
	return text
}

// lifetimes matches what time.ParseDuration takes, up to eleven years.
func lifetimes() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$`)
}
