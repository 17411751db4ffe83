// Command unitagent is a unit agent for tests: Juju's own uniter, with everything that it asks of a
// controller sent to the model of the test. It runs on the unit's machine as the real one does, with
// the same paths.
//
// Usage: unitagent MODEL UNIT, where MODEL is the host:port of the model.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	jujuerrors "github.com/juju/errors"
	jworker "github.com/juju/juju/worker"
	"github.com/juju/loggo"
	"github.com/juju/names/v5"

	"docker-registry-operator/tests/juju/wire"
)

// restartDelay is how long after a failure the uniter is started again.
const restartDelay = 300 * time.Millisecond

func main() {
	if len(os.Args) != 3 || !names.IsValidUnit(os.Args[2]) {
		fmt.Fprintln(os.Stderr, "usage: unitagent MODEL UNIT")
		os.Exit(2)
	}
	code, err := serve(os.Args[1], names.NewUnitTag(os.Args[2]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// serve runs the uniter until the unit is dead, its machine is to be restarted, or SIGTERM arrives,
// and returns the exit code that says which.
func serve(address string, unit names.UnitTag) (int, error) {
	conn := newConnection(address, unit)
	if err := setUpLogging(conn); err != nil {
		return 1, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	asks := make(chan time.Time)
	go conn.relayUpdateStatus(asks)
	for {
		err := runUniter(conn, unit, asks, stop)
		switch cause := jujuerrors.Cause(err); {
		case err == nil:
			return 0, nil
		case errors.Is(cause, jworker.ErrTerminateAgent):
			return wire.Terminated, nil
		case errors.Is(cause, jworker.ErrRebootMachine), errors.Is(cause, jworker.ErrShutdownMachine):
			return wire.Reboot, nil
		}
		loggo.GetLogger("unitagent").Errorf("cannot run uniter: %v", err)
		select {
		case <-stop:
			return 0, nil
		case <-time.After(restartDelay):
		}
	}
}

// setUpLogging sends all that is logged to the model, and nothing anywhere else.
func setUpLogging(conn *connection) error {
	if _, err := loggo.RemoveWriter("default"); err != nil {
		return err
	}
	if err := loggo.RegisterWriter("model", logWriter{conn}); err != nil {
		return err
	}
	return loggo.ConfigureLoggers("<root>=INFO;jujuc=DEBUG;unit=TRACE;juju.worker.uniter=DEBUG")
}

type logWriter struct{ conn *connection }

// Write is called by loggo for each line. A model that is gone has no use for it.
func (w logWriter) Write(entry loggo.Entry) {
	_ = w.conn.report(wire.Log, wire.LogLine{
		Level: entry.Level.String(), Module: entry.Module, Message: entry.Message,
	})
}
