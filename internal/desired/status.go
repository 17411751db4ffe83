package desired

import (
	"fmt"

	"docker-registry-operator/internal/config"
)

// status is what a unit in its desired state says. Other charms' tests look for
// `Ready at <host:port> (<scheme>).`
func status(in Input, cert *config.Certificate) Status {
	if in.Facts.Stopped {
		return Status{Blocked, in.Config.Container.Name + " container is stopped."}
	}
	scheme := "http"
	if cert != nil {
		scheme = "https"
	}
	message := fmt.Sprintf("Ready at %s (%s).", Netloc(in), scheme)
	if cert != nil && cert.ExpiredAt(in.Facts.Now) {
		message += " The certificate has expired; replace it, clients refuse it."
	}
	return Status{Active, message}
}
