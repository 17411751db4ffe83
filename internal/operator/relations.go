package operator

import (
	"context"

	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// The endpoints of metadata.yaml over which something is exchanged.
const (
	certificates = "cert-provider"
	websites     = "website"
	clients      = "docker-registry"
	monitors     = "nrpe-external-master"
	peers        = "peer"
	buckets      = "s3-credentials"
)

// relations reads of the unit's relations what a decision needs, and no more: every
// databag costs a hook tool call. With foreign images it matters who else may write
// among them.
func (o *Operator) relations(ctx context.Context, foreign bool) (desired.Relations, error) {
	var found desired.Relations
	asked := relation.Parts{Own: true, Event: true}
	pending, err := o.Host.Record(pendingRecord)
	if err != nil {
		return found, err
	}
	if pending != "" {
		asked = relation.Parts{Own: true, Units: true}
	}
	for _, read := range []struct {
		into     *[]relation.Relation
		endpoint string
		parts    func() relation.Parts
	}{
		{&found.Certificates, certificates, always(relation.Parts{Own: true, App: true, Units: true})},
		{&found.Websites, websites, always(relation.Parts{Own: true, Units: true})},
		{&found.Clients, clients, always(asked)},
		{&found.Monitors, monitors, always(relation.Parts{Own: true, Units: true})},
		{&found.Buckets, buckets, always(relation.Parts{App: true})},
		// Only proxies and clients are told of other units.
		{&found.Peers, peers, func() relation.Parts {
			return relation.Parts{Own: true, Units: foreign || len(found.Websites)+len(found.Clients) > 0}
		}},
	} {
		if *read.into, err = o.Unit.Relations(ctx, read.endpoint, read.parts()); err != nil {
			return desired.Relations{}, err
		}
	}
	return found, nil
}

func always(parts relation.Parts) func() relation.Parts {
	return func() relation.Parts { return parts }
}

// readFor reads the facts that matter only for some relations.
func (o *Operator) readFor(ctx context.Context, relations desired.Relations, facts *desired.Facts) error {
	var err error
	if len(relations.Websites)+len(relations.Buckets) > 0 {
		if facts.Leader, err = o.Unit.Leader(ctx); err != nil {
			return err
		}
	}
	if err := o.readBuckets(ctx, relations.Buckets, facts); err != nil {
		return err
	}
	if len(relations.Monitors) > 0 {
		facts.Checks, facts.Exports = o.Host.Monitoring()
	}
	if len(relations.Certificates) == 0 {
		return o.forgetCertificates()
	}
	if facts.Public, err = o.Unit.PublicAddress(ctx); err != nil {
		return err
	}
	if facts.Hostname, err = o.Host.Hostname(); err != nil {
		return err
	}
	facts.Request, facts.Issued, err = o.recall()
	return err
}
