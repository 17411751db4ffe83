// Package desired holds the charm's decision: from options and facts to the state
// that a unit should be in. It is pure; reading the facts and applying the state
// are left to package operator and package reconcile.
package desired

import (
	"path"
	"slices"

	"docker-registry-operator/internal/config"
)

// Input is all that a decision depends on.
type Input struct {
	Config config.Config
	Facts  Facts
}

// Facts are what was found on the unit and on its machine.
type Facts struct {
	Layout Layout
	// Unit is the unit's name, `docker-registry/0`.
	Unit string
	// Address is the ingress address of endpoint website: an IP or a host name.
	Address string
	// Now is in seconds since 1970 UTC.
	Now int64
	// Secret is http.secret, shared by all units.
	Secret config.Secret
	// Htpasswd verifies the user and password of the options; nil without basic
	// authentication.
	Htpasswd []byte
	// Files is what stands at the tls-*-path options that the charm did not write
	// itself, by path; a path without a file is absent.
	Files map[string][]byte
	// Image is what registry-image is.
	Image Image
	// User is who runs the registry.
	User Identity
	// ForeignData says that files in the data directory belong to somebody else
	// than User.
	ForeignData bool
	// Certificates says that the host has a directory of trusted authorities.
	Certificates bool
	// Stopped says that action stop is in force.
	Stopped bool
}

// Image is what is known of option registry-image.
type Image struct {
	// Stock says that it is not the registry that the charm carries: it has no admin
	// socket and reads no configuration while it runs.
	Stock bool
	// Major is the major version of a stock distribution image, 2 or 3.
	Major int
}

// For decides. An error is a [config.Problems]: what the operator has to mend
// before anything is changed.
func For(in Input) (State, error) {
	if problems := conflicts(in); len(problems) > 0 {
		return State{}, problems
	}
	cert, err := Certificate(in)
	if err != nil {
		return State{}, err
	}
	files, err := registryFiles(in, cert)
	if err != nil {
		return State{}, err
	}
	client := client(in, cert)
	return State{
		Files:    slices.Concat(blobFiles(in), files, clientFiles(client)),
		Workload: workload(in, cert, files),
		Ports:    ports(in),
		Client:   client,
		Status:   status(in, cert),
	}, nil
}

// Netloc is how clients name the registry: `host[:port]` of http-host, or the
// unit's address and port.
func Netloc(in Input) string {
	if host := in.Config.HTTP.Host; host.Netloc != "" {
		return host.Netloc
	}
	return join(in.Facts.Address, in.Config.HTTP.Port)
}

// Netlocs are all names of the registry: by which clients know it, and its address.
func Netlocs(in Input) []string {
	netlocs := []string{Netloc(in), join(in.Facts.Address, in.Config.HTTP.Port)}
	slices.Sort(netlocs)
	return slices.Compact(netlocs)
}

func conflicts(in Input) config.Problems {
	container := in.Config.Container
	if container.Runtime == config.Native && container.Image != "" {
		return config.Problems{{
			Option: "registry-image",
			Text:   `has no meaning with registry-runtime "native", which runs the registry that the charm carries; reset one of the two`,
		}}
	}
	if in.Facts.Image.Stock {
		return exposed(container)
	}
	return nil
}

// ports are those that clients of the unit need: the debug port only where its
// metrics are wanted.
func ports(in Input) []int {
	if in.Facts.Stopped {
		return nil
	}
	ports := []int{in.Config.HTTP.Port}
	if in.Config.HTTP.Metrics {
		ports = append(ports, in.Config.HTTP.DebugPort)
	}
	slices.Sort(ports)
	return ports
}

// client says how the host's own Docker reaches the registry under each of its names;
// nothing is to be said where there is no Docker.
func client(in Input, cert *config.Certificate) Client {
	if in.Config.Container.Runtime != config.Docker {
		return Client{}
	}
	client := Client{Netlocs: Netlocs(in), Plain: cert == nil}
	switch {
	case cert == nil:
	case cert.CA != nil:
		client.CA = cert.CA
	case cert.SelfSigned:
		client.CA = cert.Chain
	}
	return client
}

// clientFiles make Docker trust the registry's authority; the engine reads them at
// every connection, so it need not be told
// (docs.docker.com/engine/security/certificates).
func clientFiles(client Client) []File {
	if client.CA == nil {
		return nil
	}
	var files []File
	for _, netloc := range client.Netlocs {
		if loopback(netloc) {
			continue
		}
		files = append(files, File{
			Path:    path.Join("/etc/docker/certs.d", netloc, "ca.crt"),
			Content: client.CA,
			Mode:    0o644,
		})
	}
	return files
}
