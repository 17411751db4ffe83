package desired

import (
	"fmt"

	"docker-registry-operator/internal/config"
)

// UpstreamProblem is what keeps a pull-through cache from using the registry that it is
// a cache of. It serves what it has in any case.
type UpstreamProblem string

// The problems that a cache may have, by the names that the registry gives them.
const (
	UpstreamUnanswered   UpstreamProblem = "unanswered"
	UpstreamUnauthorized UpstreamProblem = "unauthorized"
)

// Upstream is what a cache tells of the registry that it is a cache of. Its zero value
// is one with which nothing is wrong.
type Upstream struct {
	Problem UpstreamProblem
	// Reason is the cause in few words.
	Reason string
}

// Degrade is what a unit says that is ready but for its upstream: credentials are for
// the operator to mend, and an upstream that does not answer may be back any moment.
func (u Upstream) Degrade(ready Status, mirror *config.Mirror) Status {
	if mirror == nil || u.Problem == "" {
		return ready
	}
	url := mirror.URL.String()
	if u.Problem != UpstreamUnauthorized {
		ready.Message += fmt.Sprintf(" Upstream %s does not answer: %s.", url, u.Reason)
		return ready
	}
	problem := config.Problems{{
		Option: "cache-password",
		Text:   fmt.Sprintf("%s refuses it with \"cache-username\"; set both as they are there", url),
	}}
	if mirror.Username == "" {
		problem = config.Problems{{
			Option: "cache-remoteurl",
			Text:   fmt.Sprintf("%s asks for credentials; set \"cache-username\" and \"cache-password\"", url),
		}}
	}
	return Status{Blocked, "Invalid charm config: " + problem.Error() + ". What is cached is served. " + ready.Message}
}
