package registryconf

import "docker-registry-operator/internal/config"

// swift are the parameters of the driver of that name in version 2.
// https://github.com/distribution/distribution/blob/v2.8.3/docs/storage-drivers/swift.md
type swift struct {
	AuthURL   string `yaml:"authurl"`
	Username  string `yaml:"username"`
	Password  string `yaml:"password"`
	Tenant    string `yaml:"tenant"`
	Domain    string `yaml:"domain,omitempty"`
	Region    string `yaml:"region,omitempty"`
	Container string `yaml:"container"`
}

func newSwift(backend config.Swift) *swift {
	return &swift{
		AuthURL:   backend.AuthURL.String(),
		Username:  backend.Username,
		Password:  backend.Password.Reveal(),
		Tenant:    backend.Tenant,
		Domain:    backend.Domain,
		Region:    backend.Region,
		Container: backend.Container,
	}
}
