package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"docker-registry-operator/internal/desired"
)

const (
	checksDir  = "/etc/nagios/nrpe.d"
	exportsDir = "/var/lib/nagios/export"
	// monitored records the checks that NRPE was last restarted for.
	monitored = "monitored"
)

// Monitoring says that the machine has the directories of NRPE's checks and of what
// Nagios is told of them.
func (m *Machine) Monitoring() (checks, exports bool) { return isDir(checksDir), isDir(exportsDir) }

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
	wanted := checksIn(files)
	last, err := m.records.get(monitored)
	if err != nil || last == wanted {
		return "", err
	}
	if isDir(checksDir) {
		if _, err := m.run.Run(ctx, Command{Args: []string{"service", "nagios-nrpe-server", "restart"}}); err != nil {
			return fmt.Sprintf("NRPE does not know its checks, because it cannot be restarted: %v.", err), nil
		}
		m.log.Info("NRPE restarted", "reason", "checks changed")
	}
	return "", m.records.set(monitored, wanted)
}

// checksIn is a digest of NRPE's checks among files, "" if there are none.
func checksIn(files []desired.File) string {
	hash, found := sha256.New(), false
	for _, file := range files {
		if strings.HasPrefix(file.Path, checksDir+"/") {
			found = true
			fmt.Fprintf(hash, "%s %d\n", file.Path, len(file.Content))
			io.WriteString(hash, string(file.Content))
		}
	}
	if !found {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}
