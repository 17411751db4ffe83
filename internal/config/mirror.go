package config

// Mirror makes the registry a pull-through cache of another one.
type Mirror struct {
	URL URL
	// Username and Password are both set, or both not.
	Username string
	Password Secret
}

func (r *reader) mirror() *Mirror {
	mirror := Mirror{
		URL:      r.url("cache-remoteurl"),
		Username: r.text("cache-username"),
		Password: r.secret("cache-password"),
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
