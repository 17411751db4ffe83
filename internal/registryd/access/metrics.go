package access

import (
	"sync"

	"github.com/distribution/distribution/v3/metrics"
	gometrics "github.com/docker/go-metrics"
)

// outcomes counts what was decided, by outcome: registry_auth_outcomes_total. It is registered once a process.
var outcomes = sync.OnceValue(func() map[string]gometrics.Counter {
	namespace := gometrics.NewNamespace(metrics.NamespacePrefix, "auth", nil)
	counter := namespace.NewLabeledCounter("outcomes", "What became of credentials and of requests that were refused", "outcome")
	gometrics.Register(namespace)
	counters := make(map[string]gometrics.Counter)
	for _, outcome := range []string{
		string(known), string(verified), string(wrong), string(wrongAgain), string(undecided), // credentials
		"UNAUTHORIZED", "DENIED", "TOOMANYREQUESTS", // requests that were refused
		tokenGiven,
	} {
		counters[outcome] = counter.WithValues(outcome)
	}
	return counters
})

// tokenGiven is the outcome of a request for a token.
const tokenGiven = "token"

// count counts one of the outcomes.
func count(outcome string) { outcomes()[outcome].Inc(1) }
