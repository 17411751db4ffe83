package access

import (
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/metrics"
	gometrics "github.com/docker/go-metrics"
)

// outcomes counts what was decided: registry_auth_outcomes_total. It is registered once a process.
var outcomes = sync.OnceValue(func() gometrics.LabeledCounter {
	namespace := gometrics.NewNamespace(metrics.NamespacePrefix, "auth", nil)
	counter := namespace.NewLabeledCounter("outcomes", "What became of credentials and of requests that were refused", "outcome")
	gometrics.Register(namespace)
	return counter
})

// count counts an outcome: of credentials "remembered", "verified", "wrong" or "wrong again"; of requests
// "unauthorized", "denied" or "toomanyrequests"; or "token" for one that was given.
func count(outcome string) { outcomes().WithValues(strings.ToLower(outcome)).Inc(1) }
