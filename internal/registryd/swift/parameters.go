package swift

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mitchellh/mapstructure"
)

// Sizes of segments, in bytes.
const (
	defaultChunkSize = 20 << 20
	minChunkSize     = 1 << 20
	// maxChunkSize is the largest object that Swift takes in one piece.
	maxChunkSize = 5 << 30
)

// Parameters are the section storage.swift of a configuration. Their names and meanings
// are those of distribution version 2.
// https://github.com/distribution/distribution/blob/v2.8.3/docs/storage-drivers/swift.md
type Parameters struct {
	// AuthURL is where to sign in, AuthVersion the version of its protocol: 1, 2 or 3, or
	// 0 to take it from the URL.
	AuthURL     string
	AuthVersion int

	Username, Password                            string
	Tenant, TenantID, Domain, DomainID            string
	TenantDomain, TenantDomainID, TrustID, Region string
	// EndpointType is "public" ("" is the same), "internal" or "admin".
	EndpointType string

	Container string
	// Prefix comes before the name of every object.
	Prefix string
	// ChunkSize is the size of a segment of a large object, in bytes.
	ChunkSize int
	// SecretKey signs temporary URLs; "" is the container's own key, which is made if it
	// has none. AccessKey goes into the signature where the service wants that.
	SecretKey, AccessKey string
	InsecureSkipVerify   bool
	// TempURLContainerKey and TempURLMethods are accepted and not needed: the service is
	// asked for them.
	TempURLContainerKey bool
	TempURLMethods      []string
}

// Parse reads a section of a configuration. An error names the parameter.
func Parse(parameters map[string]any) (Parameters, error) {
	parsed := Parameters{ChunkSize: defaultChunkSize}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: &parsed,
		// What comes from the environment may be of another type: a tenant of digits.
		WeaklyTypedInput: true,
		ErrorUnused:      true,
	})
	if err != nil {
		return Parameters{}, fmt.Errorf("cannot read parameters of storage.swift: %w", err)
	}
	if err := decoder.Decode(parameters); err != nil {
		return Parameters{}, unreadable(err)
	}
	parsed.Prefix = strings.Trim(parsed.Prefix, "/")
	return parsed, parsed.check()
}

// unreadable tells what is wrong with the parameters, but not what they hold: that may be
// a password.
func unreadable(err error) error {
	var mistakes *mapstructure.Error
	if !errors.As(err, &mistakes) {
		return errors.New("cannot read parameters of storage.swift")
	}
	var told []string
	for _, mistake := range mistakes.Errors {
		if field := regexp.MustCompile(`'(\w+)'`).FindStringSubmatch(mistake); field != nil {
			mistake = strings.ToLower(field[1]) + " has a value of the wrong kind"
		}
		told = append(told, strings.TrimPrefix(mistake, "'' "))
	}
	return fmt.Errorf("cannot read parameters of storage.swift: %s", strings.Join(told, "; "))
}

func (p Parameters) check() error {
	for _, required := range []struct{ name, value string }{
		{"authurl", p.AuthURL},
		{"username", p.Username},
		{"password", p.Password},
		{"container", p.Container},
	} {
		if required.value == "" {
			return fmt.Errorf("storage.swift.%s must be set", required.name)
		}
	}
	switch {
	case p.AuthVersion < 0 || p.AuthVersion > 3:
		return errors.New("storage.swift.authversion must be 1, 2 or 3")
	case strings.Contains(p.Container, "/"):
		return errors.New("storage.swift.container must be a name without slashes")
	case p.ChunkSize < minChunkSize || p.ChunkSize > maxChunkSize:
		return fmt.Errorf("storage.swift.chunksize must be from %d to %d bytes", minChunkSize, maxChunkSize)
	}
	switch p.EndpointType {
	case "", "public", "internal", "admin":
		return nil
	}
	return errors.New("storage.swift.endpointtype must be public, internal or admin")
}
