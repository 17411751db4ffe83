package operator

import (
	"context"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/relation"
)

// readBuckets reads what the application asks of providers of s3, if the unit leads, and
// the secrets that they name. A secret that cannot be read, mostly because it is not yet
// or no longer granted, is as good as none: the status says what is missing.
func (o *Operator) readBuckets(ctx context.Context, providers []relation.Relation, facts *desired.Facts) error {
	if len(providers) == 0 {
		return nil
	}
	if facts.Leader {
		asked, err := o.Unit.Relations(ctx, buckets, relation.Parts{OwnApp: true})
		if err != nil {
			return err
		}
		for i := range providers {
			providers[i].OwnApp = asked[i].OwnApp
		}
	}
	facts.Secrets = map[string]map[string]config.Secret{}
	for _, provider := range providers {
		uri := relation.S3In(provider.App).Secret
		if uri == "" {
			continue
		}
		content, err := o.Unit.Secret(ctx, uri)
		if err != nil {
			o.Log.Warn("secret not read", "relation", provider.ID, "error", err)
			continue
		}
		facts.Secrets[uri] = content
	}
	return nil
}
