package config

// Swift keeps images in an OpenStack Swift container.
type Swift struct {
	AuthURL                  URL
	Username, Tenant, Domain string
	Region, Container        string
	Password                 Secret
}

func (Swift) backend() {}

// swift is nil if no option asks for Swift. A region, a domain and a container alone
// do not: the last has a default.
func (r *reader) swift() *Swift {
	swift := Swift{
		AuthURL:   r.url("storage-swift-authurl"),
		Username:  r.text("storage-swift-username"),
		Password:  r.secret("storage-swift-password"),
		Tenant:    r.text("storage-swift-tenant"),
		Domain:    r.text("storage-swift-domain"),
		Region:    r.text("storage-swift-region"),
		Container: r.text("storage-swift-container"),
	}
	given := r.together("Swift",
		setting{"storage-swift-authurl", swift.AuthURL != URL{} || r.complained("storage-swift-authurl")},
		setting{"storage-swift-username", swift.Username != ""},
		setting{"storage-swift-password", !swift.Password.IsZero() || r.complained("storage-swift-password")},
		setting{"storage-swift-tenant", swift.Tenant != ""},
	)
	if !given {
		return nil
	}
	if swift.Container == "" {
		r.complain("storage-swift-container", `must be set together with "storage-swift-authurl"`)
	}
	return &swift
}
