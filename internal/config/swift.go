package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Limits of a segment of a large object in Swift, in bytes: the driver's and Swift's own.
// https://docs.openstack.org/swift/latest/overview_large_objects.html
const (
	minSegment = 1 << 20
	maxSegment = 5 << 30
)

// Swift keeps images in an OpenStack Swift container.
type Swift struct {
	AuthURL URL
	// AuthVersion is the version of the authentication at AuthURL, 1 to 3.
	AuthVersion  int
	Username     string
	Password     Secret
	Tenant       Named
	Domain       Named // of the user and, without TenantDomain, of the tenant
	TenantDomain Named
	TrustID      string
	Region       string
	// EndpointType is which of the service's endpoints is used: public, internal or admin.
	EndpointType string
	Container    string
	Prefix       string
	// ChunkSize is the size of a segment in bytes.
	ChunkSize int
	// SecretKey signs temporary URLs; the zero secret leaves it to the driver.
	SecretKey Secret
}

// Named is something of OpenStack by its name or by its ID; both may be "".
type Named struct {
	Name, ID string
}

func (n Named) given() bool { return n.Name != "" || n.ID != "" }

func (Swift) backend() {}

// swift is nil if no option asks for Swift. A region, a domain, a container and the like
// alone do not: some have a default.
func (r *reader) swift() *Swift {
	version := r.num("storage-swift-authversion", 0, 3)
	swift := Swift{
		AuthURL:      r.url("storage-swift-authurl"),
		Username:     r.text("storage-swift-username"),
		Password:     r.secret("storage-swift-password"),
		Tenant:       Named{r.text("storage-swift-tenant"), r.text("storage-swift-tenant-id")},
		Domain:       Named{r.text("storage-swift-domain"), r.text("storage-swift-domain-id")},
		TenantDomain: Named{r.text("storage-swift-tenant-domain"), r.text("storage-swift-tenant-domain-id")},
		TrustID:      r.text("storage-swift-trust-id"),
		Region:       r.text("storage-swift-region"),
		EndpointType: r.choice("storage-swift-endpoint-type", "public", "internal", "admin"),
		Container:    r.text("storage-swift-container"),
		Prefix:       r.text("storage-swift-prefix"),
		ChunkSize:    r.num("storage-swift-chunksize", minSegment, maxSegment),
		SecretKey:    r.secret("storage-swift-secretkey"),
	}
	if !r.wantsSwift(swift) {
		return nil
	}
	swift.AuthVersion = r.authVersion(version, swift.AuthURL)
	r.checkSwift(swift)
	return &swift
}

// wantsSwift says that Swift is asked for, and complains if only half of what it takes
// is there.
func (r *reader) wantsSwift(swift Swift) bool {
	wanted := r.together("Swift",
		setting{"storage-swift-authurl", swift.AuthURL != URL{} || r.complained("storage-swift-authurl")},
		setting{"storage-swift-username", swift.Username != "" || r.complained("storage-swift-username")},
		setting{"storage-swift-password", !swift.Password.IsZero() || r.complained("storage-swift-password")},
	)
	for _, s := range []setting{
		{"storage-swift-tenant", swift.Tenant.Name != ""},
		{"storage-swift-tenant-id", swift.Tenant.ID != ""},
		{"storage-swift-trust-id", swift.TrustID != ""},
	} {
		if s.set && !wanted {
			r.complain("storage-swift-authurl", "must be set together with %q", s.option)
			return true
		}
	}
	return wanted
}

// authVersion is the version that the options ask for: 0 leaves it to the URL, of whose
// path a part such as v3 or v2.0 tells it.
func (r *reader) authVersion(version int, at URL) int {
	const name = "storage-swift-authversion"
	if version != 0 || at == (URL{}) || r.complained(name) {
		return version
	}
	if part := regexp.MustCompile(`/v([123])(\.[0-9]+)?(/|$)`).FindStringSubmatch(at.Path); part != nil {
		return int(part[1][0] - '0')
	}
	r.complain(name, `must be 1, 2 or 3, because "storage-swift-authurl" does not tell: it has no part such as "/v3"`)
	return 0
}

func (r *reader) checkSwift(swift Swift) {
	const container = "storage-swift-container"
	if swift.Container == "" {
		r.complainOnce(container, `must be set together with "storage-swift-authurl"`)
	}
	if strings.Contains(swift.Container, "/") || len(swift.Container) > 256 {
		r.complain(container, "must be a container's name: at most 256 bytes, and no slash")
	}
	version := swift.AuthVersion
	if version >= 2 && !swift.Tenant.given() && (version == 2 || swift.TrustID == "") {
		r.complainOnce("storage-swift-tenant", neededTenant(version))
	}
	for _, s := range []setting{
		{"storage-swift-domain-id", swift.Domain.ID != ""},
		{"storage-swift-tenant-domain", swift.TenantDomain.Name != ""},
		{"storage-swift-tenant-domain-id", swift.TenantDomain.ID != ""},
		{"storage-swift-trust-id", swift.TrustID != ""},
	} {
		if s.set && (version == 1 || version == 2) {
			r.complain(s.option, "must be empty with version %d of authentication; version 3 has it", version)
		}
	}
}

func neededTenant(version int) string {
	other := `"storage-swift-tenant-id"`
	if version == 3 {
		other += ` or "storage-swift-trust-id"`
	}
	return fmt.Sprintf("must be set, or %s, for version %d of authentication", other, version)
}
