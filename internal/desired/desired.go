// Package desired holds the charm's decision: from options and facts to the state
// that a unit should be in. It is pure; reading the facts and applying the state
// are left to package operator and package reconcile.
package desired

import (
	"path"
	"slices"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/registryconf"
	"docker-registry-operator/internal/relation"
)

// For decides. An error is a [config.Problems], what the operator has to mend before
// anything is changed, [NoCertificate] or [NoStorage].
func For(in Input) (State, error) {
	if problems := conflicts(in); len(problems) > 0 {
		return State{}, problems
	}
	storage, notes, err := storageFor(in)
	if err != nil {
		return State{}, err
	}
	in.Config.Storage = storage
	served, err := serve(in)
	if err != nil {
		return State{}, err
	}
	served.notes = append(served.notes, notes...)
	files, err := registryFiles(in, served.cert)
	if err != nil {
		return State{}, err
	}
	place, err := registryconf.Place(contentOf(files, configName))
	if err != nil {
		return State{}, err
	}
	name := nameFor(in, served.cert != nil)
	client := client(in, name, served.cert)
	return State{
		Files:    slices.Concat(blobFiles(in), files, clientFiles(client), monitorFiles(in, served.cert)),
		Workload: workload(in, served.cert, files),
		Place:    Place(place),
		Data:     in.Facts.Data(),
		TakeOver: takesOver(in),
		Ports:    ports(in),
		Client:   client,
		Databags: slices.Concat(peerBags(in), websiteBags(in, served.cert != nil), clientBags(in, served, name), monitorBags(in, served.cert)),
		Issued:   served.issued,
		Status:   status(in, served, name),
	}, nil
}

func conflicts(in Input) config.Problems {
	container := in.Config.Container
	if container.Runtime == config.Native && container.Image != "" {
		return config.Problems{{
			Option: "registry-image",
			Text:   `has no meaning with registry-runtime "native", which runs the registry that the charm carries; reset one of the two`,
		}}
	}
	var problems config.Problems
	if in.Facts.Image.Stock {
		problems = exposed(container)
	}
	redis := in.Config.Storage.Redis
	if redis != nil && redis.TLS && in.Config.Storage.CA == nil && !in.Facts.Certificates {
		problems = append(problems, config.Problem{
			Option: "storage-ca-blob",
			Text:   `must be set together with "storage-redis-tls": the machine has no authorities of its own`,
		})
	}
	return problems
}

// takesOver says that foreign images are to be given to the registry. A registry that
// runs as root may go on among them; and where units share their images, one of the
// charm that this one replaces writes more of its own until it is refreshed too.
func takesOver(in Input) bool {
	for _, peers := range in.Relations.Peers {
		if slices.ContainsFunc(peers.Peers(), func(peer relation.Peer) bool { return !peer.Serves }) {
			return false
		}
	}
	return in.Facts.ForeignData && !in.Facts.Image.Stock
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
func client(in Input, name names, cert *config.Certificate) Client {
	if in.Config.Container.Runtime != config.Docker {
		return Client{}
	}
	client := Client{Netlocs: name.all(), Plain: cert == nil}
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
