// Package config turns the options of config.yaml into typed, checked values. It
// reports every mistake at once, each by the name of its option, and knows nothing
// of the machine: files at the paths that options name are read by others.
package config

// Options are a unit's options as Juju gives them: text, a truth value or a
// number. An option without a value and without a default is absent.
type Options map[string]any

// Config is what a unit's options ask for. Its zero value is not meaningful: make
// one with [Parse].
type Config struct {
	HTTP      HTTP
	TLS       TLS
	Auth      Auth
	Storage   Storage
	Mirror    *Mirror // nil: no pull-through cache
	Log       Log
	Container Container
	Host      Host
	Nagios    Nagios

	// Overlay is option registry-config: a part of a distribution configuration
	// that is merged over the rendered one. Nil if not set. Below it, every mapping
	// is a map[string]any and every list a []any.
	Overlay map[string]any
}

// Parse reads all options. An error is of type [Problems] and holds every mistake.
func Parse(options Options) (Config, error) {
	r := newReader(options)
	config := r.config()
	if len(r.problems) > 0 {
		r.problems.Sort()
		return Config{}, r.problems
	}
	return config, nil
}

// ParseName is the name of the registry's container or service, for what needs no other
// option to be right. An error is of type [Problems].
func ParseName(options Options) (string, error) {
	r := newReader(options)
	name := r.name()
	if len(r.problems) > 0 {
		return "", r.problems
	}
	return name, nil
}

func (r *reader) config() Config {
	r.retired()
	return Config{
		HTTP:      r.http(),
		TLS:       r.tls(),
		Auth:      r.auth(),
		Storage:   r.storage(),
		Mirror:    r.mirror(),
		Log:       r.log(),
		Container: r.container(),
		Host:      r.host(),
		Nagios:    r.nagios(),
		Overlay:   r.overlay(),
	}
}
