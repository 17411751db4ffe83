package registryd

import (
	"fmt"

	"github.com/distribution/distribution/v3/notifications"

	"docker-registry-operator/internal/registryd/oci"
	"docker-registry-operator/internal/registryd/referrer"
)

// newOCI is what stands before the application of the generation.
func (g *generation) newOCI() (*oci.Server, error) {
	readOnly, err := appField(g.app.App, "readOnly")
	if err != nil {
		return nil, err
	}
	source, err := appField(g.app.App, "events", "source")
	if err != nil {
		return nil, err
	}
	options := oci.Options{
		Storage:   g.app.storage,
		Referrers: referrer.New(g.app.storage),
		Config:    g.app.Config,
		Admit:     g.gate.Admit,
		Access:    access,
		Public:    g.gate.controller == nil,
		ReadOnly:  readOnly.Bool(),
		Source:    source.Interface().(notifications.SourceRecord),
		Sink:      g.sink,
		Log:       g.logger,
	}
	if g.upstream != nil {
		options.Upstream = g.upstream.Address()
	}
	server, err := oci.New(options)
	if err != nil {
		return nil, fmt.Errorf("cannot serve what the application does not: %w", err)
	}
	return server, nil
}
