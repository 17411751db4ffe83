package registryconf

import "docker-registry-operator/internal/config"

// swift are the parameters of the driver of that name, which are the same in version 2
// and in the built-in registry.
// https://github.com/distribution/distribution/blob/v2.8.3/docs/storage-drivers/swift.md
type swift struct {
	AuthURL        string `yaml:"authurl"`
	AuthVersion    int    `yaml:"authversion"`
	Username       string `yaml:"username"`
	Password       string `yaml:"password"`
	Tenant         string `yaml:"tenant,omitempty"`
	TenantID       string `yaml:"tenantid,omitempty"`
	Domain         string `yaml:"domain,omitempty"`
	DomainID       string `yaml:"domainid,omitempty"`
	TenantDomain   string `yaml:"tenantdomain,omitempty"`
	TenantDomainID string `yaml:"tenantdomainid,omitempty"`
	TrustID        string `yaml:"trustid,omitempty"`
	Region         string `yaml:"region,omitempty"`
	EndpointType   string `yaml:"endpointtype"`
	Container      string `yaml:"container"`
	Prefix         string `yaml:"prefix,omitempty"`
	ChunkSize      int    `yaml:"chunksize"`
	SecretKey      string `yaml:"secretkey,omitempty"`
}

func newSwift(backend config.Swift) *swift {
	return &swift{
		AuthURL:        backend.AuthURL.String(),
		AuthVersion:    backend.AuthVersion,
		Username:       backend.Username,
		Password:       backend.Password.Reveal(),
		Tenant:         backend.Tenant.Name,
		TenantID:       backend.Tenant.ID,
		Domain:         backend.Domain.Name,
		DomainID:       backend.Domain.ID,
		TenantDomain:   backend.TenantDomain.Name,
		TenantDomainID: backend.TenantDomain.ID,
		TrustID:        backend.TrustID,
		Region:         backend.Region,
		EndpointType:   backend.EndpointType,
		Container:      backend.Container,
		Prefix:         backend.Prefix,
		ChunkSize:      backend.ChunkSize,
		SecretKey:      backend.SecretKey.Reveal(),
	}
}
