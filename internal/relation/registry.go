package relation

// Registry is what clients at endpoint docker-registry are told: container runtimes
// that are to pull from it.
type Registry struct {
	// Netloc is host[:port], and URL the same with a scheme.
	Netloc, URL string
	// User and Password are both set or both empty.
	User, Password string
	// CA is the PEM text of whom to trust; "" without TLS, and where clients trust the
	// registry's authority by themselves.
	CA string
}

// Bag tells clients. Each value is JSON.
func (r Registry) Bag() Bag {
	return Bag{
		"registry_netloc": quote(r.Netloc),
		"registry_url":    quote(r.URL),
		"basic_user":      quoteOrNull(r.User),
		"basic_password":  quoteOrNull(r.Password),
		"tls_ca":          quoteOrNull(r.CA),
	}
}

// ImageRequest is an image that a client wants the registry to have.
type ImageRequest struct {
	Image, Tag string
}

// ImageIn is what a client's bag asks for, or what the unit's own answers; the zero
// request if nothing.
func ImageIn(bag Bag) ImageRequest {
	return ImageRequest{Image: unquote(bag["image"]), Tag: unquote(bag["tag"])}
}

// Bag answers with the image as the registry has it: a path and a tag.
func (r ImageRequest) Bag() Bag {
	return Bag{"image": quote(r.Image), "tag": quote(r.Tag)}
}
