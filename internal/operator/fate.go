package operator

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// blocked is what the operator has to mend.
type blocked struct {
	message string
}

func (b *blocked) Error() string { return b.message }

// waiting is what somebody else has to do first.
type waiting struct {
	message string
}

func (w *waiting) Error() string { return w.message }

// fate is what an error means for the unit: the operator's mistake blocks it,
// somebody else's turn makes it wait, and anything else fails the hook, which Juju
// then tries again.
func fate(err error) (desired.Status, error) {
	var (
		problems config.Problems
		refused  *desired.Refused
		taken    *desired.NameTaken
		mistake  *blocked
		wait     *waiting
		unsigned *desired.NoCertificate
		unplaced *desired.NoStorage
	)
	switch {
	case errors.As(err, &problems):
		return desired.Status{Level: desired.Blocked, Message: "Invalid charm config: " + problems.Error()}, nil
	case errors.As(err, &taken):
		return desired.Status{Level: desired.Blocked, Message: fmt.Sprintf(
			"Invalid charm config: option %q: container %q exists and is not this unit's; choose another name or remove it",
			"registry-name", taken.Name)}, nil
	case errors.As(err, &refused), errors.As(err, &mistake):
		return desired.Status{Level: desired.Blocked, Message: err.Error()}, nil
	case errors.As(err, &wait), errors.As(err, &unsigned), errors.As(err, &unplaced):
		return desired.Status{Level: desired.Waiting, Message: err.Error()}, nil
	case errors.Is(err, desired.ErrNoEngine):
		return desired.Status{Level: desired.Waiting, Message: "waiting for the Docker Engine to answer; see 'systemctl status docker' on the unit"}, nil
	}
	if advice := adviceOn(err); advice != "" {
		// What could not be put back either is on further lines.
		first, _, _ := strings.Cut(err.Error(), "\n")
		return desired.Status{Level: desired.Blocked, Message: first + "; " + advice}, nil
	}
	return desired.Status{}, err
}

// adviceOn is what helps where the machine's own state is in the way, "" if err is
// something else. It is nobody's option, but no further try of the hook would mend it.
func adviceOn(err error) string {
	switch {
	case errors.Is(err, desired.ErrMalformed):
		return "mend it, the next hook goes on"
	case errors.Is(err, syscall.EROFS):
		return "make the file system writable"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return "move away what stands there"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		// Of the Engine's errors only the text comes through its API.
		strings.Contains(err.Error(), syscall.ENOSPC.Error()):
		return "free space there, the next hook goes on"
	}
	return ""
}

// explain names the option behind a port that another process holds, and the one that
// says what the charm does not check.
func (o *Operator) explain(refused *desired.Refused, conf config.Config) error {
	if problems := unfit(refused.Reason, conf.Storage); problems != nil {
		return problems
	}
	if !strings.Contains(refused.Reason, "address already in use") {
		if conf.Overlay == nil {
			return refused
		}
		return &blocked{fmt.Sprintf("%v; mend or reset option %q if it asks for that", refused, "registry-config")}
	}
	http := conf.HTTP
	for _, candidate := range []struct {
		option string
		port   int
	}{
		{"registry-port", http.Port},
		{"debug-port", http.DebugPort},
	} {
		if strings.Contains(refused.Reason, fmt.Sprintf(":%d:", candidate.port)) {
			return config.Problems{{
				Option: candidate.option,
				Text:   fmt.Sprintf("port %d is in use by another program; choose another one", candidate.port),
			}}
		}
	}
	return refused
}
