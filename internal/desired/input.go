package desired

import (
	"cmp"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// Input is all that a decision depends on.
type Input struct {
	Config    config.Config
	Relations Relations
	Facts     Facts
}

// Relations are the unit's relations by endpoint, in the order of their IDs, as far as
// a decision needs them.
type Relations struct {
	Certificates []relation.Relation // cert-provider
	Websites     []relation.Relation // website
	Clients      []relation.Relation // docker-registry
	Monitors     []relation.Relation // nrpe-external-master
	Buckets      []relation.Relation // s3-credentials
	// Peers is the relation with the other units; their bags are there only if there is
	// a relation for which they matter.
	Peers []relation.Relation
}

// Facts are what was found on the unit and on its machine.
type Facts struct {
	Layout Layout
	// Unit is the unit's name, `docker-registry/0`.
	Unit string
	// Model is the ID of the unit's model, "" without one.
	Model string
	// Leader says that the unit leads; asked only where it matters.
	Leader bool
	// Addresses are the ingress addresses of endpoint website, IPs or host names; the
	// first is the unit's own.
	Addresses []string
	// Public is the machine's public address, and Hostname its name; both only where a
	// certificate is asked for, and "" if there is none.
	Public, Hostname string
	// Now is in seconds since 1970 UTC.
	Now int64
	// Secret is http.secret, shared by all units.
	Secret config.Secret
	// Secrets are contents of secrets that relations name, by their URIs; one that cannot
	// be read is absent.
	Secrets map[string]map[string]config.Secret
	// Htpasswd verifies the users of the options and, with rules or users of its own, the
	// charm's; nil if nobody signs in with a password.
	Htpasswd []byte
	// Request is the certificate that the unit asks for, nil if it has not asked yet.
	Request *CertificateRequest
	// Issued is the certificate of a relation that was taken last, nil if none.
	Issued *Issued
	// Files is what stands at the tls-*-path options that the charm did not write
	// itself, by path; a path without a file is absent.
	Files map[string][]byte
	// Image is what registry-image is.
	Image Image
	// User is who runs the registry.
	User Identity
	// Storage is the directory of images in Juju's storage, "" where they are in the
	// layout's.
	Storage string
	// ForeignData says that files in the data directory belong to somebody else
	// than User.
	ForeignData bool
	// Certificates says that the host has a directory of trusted authorities.
	Certificates bool
	// Checks and Exports say that the machine has the directories of NRPE's checks and of
	// what Nagios is told of them; looked for only where there is a relation.
	Checks, Exports bool
	// Stopped says that action stop is in force.
	Stopped bool
}

// Address is the unit's own address.
func (f Facts) Address() string {
	if len(f.Addresses) == 0 {
		return ""
	}
	return f.Addresses[0]
}

// Data is the directory of images.
func (f Facts) Data() string { return cmp.Or(f.Storage, f.Layout.Data()) }

// Image is what is known of option registry-image.
type Image struct {
	// Stock says that it is not the registry that the charm carries: it has no admin
	// socket and reads no configuration while it runs.
	Stock bool
	// Major is the major version of a stock distribution image, 2 or 3.
	Major int
}
