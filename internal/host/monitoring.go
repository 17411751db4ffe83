package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"docker-registry-operator/internal/desired"
)

// monitored records the checks that NRPE was last restarted for.
const monitored = "monitored"

// Monitoring says that the machine has the directories of NRPE's checks and of what
// Nagios is told of them.
func (m *Machine) Monitoring() (checks, exports bool) {
	return isDir(m.layout.Checks()), isDir(m.layout.Exports())
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Hostname is the machine's name.
func (m *Machine) Hostname() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("cannot tell the machine's name: %w", err)
	}
	return name, nil
}

// EnsureMonitoring restarts NRPE, which reads its checks as it starts, if those among
// files are others than at its last restart. Where NRPE is gone there is nothing to do.
func (m *Machine) EnsureMonitoring(ctx context.Context, files []desired.File) (note string, err error) {
	wanted := digestIn(m.layout.Checks(), files)
	last, err := m.records.get(monitored)
	if err != nil || last == wanted {
		return "", err
	}
	if isDir(m.layout.Checks()) {
		if _, err := m.run.Run(ctx, Command{Args: []string{"service", "nagios-nrpe-server", "restart"}}); err != nil {
			return fmt.Sprintf("NRPE does not know its checks, because it cannot be restarted: %v.", err), nil
		}
		m.log.Info("NRPE restarted", "reason", "checks changed")
	}
	return "", m.records.set(monitored, wanted)
}

// digestIn is a digest of those of files that are in a directory, "" if there are none.
func digestIn(dir string, files []desired.File) string {
	hash, found := sha256.New(), false
	for _, file := range files {
		if filepath.Dir(file.Path) == dir {
			found = true
			fmt.Fprintf(hash, "%s %d\n", file.Path, len(file.Content))
			hash.Write(file.Content)
		}
	}
	if !found {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}
