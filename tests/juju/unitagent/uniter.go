package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/juju/clock"
	jujuagent "github.com/juju/juju/agent"
	apileadership "github.com/juju/juju/api/agent/leadership"
	"github.com/juju/juju/api/agent/secretsmanager"
	apiuniter "github.com/juju/juju/api/agent/uniter"
	"github.com/juju/juju/api/client/charms"
	"github.com/juju/juju/core/leadership"
	"github.com/juju/juju/core/machinelock"
	"github.com/juju/juju/core/model"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/juju/secrets"
	"github.com/juju/juju/worker/common/reboot"
	"github.com/juju/juju/worker/fortress"
	workerleadership "github.com/juju/juju/worker/leadership"
	"github.com/juju/juju/worker/secretexpire"
	"github.com/juju/juju/worker/secretrotate"
	"github.com/juju/juju/worker/uniter"
	"github.com/juju/juju/worker/uniter/charm"
	"github.com/juju/juju/worker/uniter/operation"
	"github.com/juju/juju/worker/uniter/remotestate"
	"github.com/juju/juju/worker/uniter/resolver"
	"github.com/juju/loggo"
	"github.com/juju/names/v5"
	"github.com/juju/worker/v3"
)

// Where a unit agent keeps what it has, as Juju lays it out on a machine.
const (
	dataDir      = "/var/lib/juju"
	logDir       = "/var/log/juju"
	transientDir = "/run/juju"
)

// leaseDuration is how long a unit may believe to lead after the test has moved leadership. Juju's is
// 30 s; a test wants to see the new leader sooner.
const leaseDuration = 400 * time.Millisecond

// runUniter runs Juju's uniter until it ends or a signal arrives on stop. A nil error says that it
// was the signal.
func runUniter(conn *connection, unit names.UnitTag, asks <-chan time.Time, stop <-chan os.Signal) error {
	tracker := workerleadership.NewTracker(unit, apileadership.NewClient(conn), clock.WallClock, leaseDuration)
	defer func() { _ = worker.Stop(tracker) }()
	settings, err := uniterParams(conn, unit, tracker)
	if err != nil {
		return err
	}
	settings.UpdateStatusSignal = func(time.Duration) remotestate.Waiter { return signalWaiter(asks) }
	u, err := uniter.NewUniter(settings)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- u.Wait() }()
	select {
	case <-stop:
		u.Kill()
		<-ended
		return nil
	case err := <-ended:
		if err == nil {
			return fmt.Errorf("cannot go on: uniter of %s ended", unit.Id())
		}
		return err
	}
}

// signalWaiter lets the test, not the clock, decide when update-status is due.
type signalWaiter <-chan time.Time

// After is part of remotestate.Waiter.
func (w signalWaiter) After() <-chan time.Time { return w }

func uniterParams(conn *connection, unit names.UnitTag, tracker leadership.Tracker) (*uniter.UniterParams, error) {
	logger := loggo.GetLogger("juju.worker.uniter")
	resources, err := apiuniter.NewResourcesFacadeClient(conn, unit)
	if err != nil {
		return nil, err
	}
	lock, err := machinelock.New(machinelock.Config{
		AgentName:   unit.String(),
		Clock:       clock.WallClock,
		Logger:      loggo.GetLogger("juju.machinelock"),
		LogFilename: filepath.Join(logDir, machinelock.Filename),
	})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(jujuagent.Dir(dataDir, unit), 0o755); err != nil {
		return nil, err
	}
	client := secretsmanager.NewClient(conn)
	return &uniter.UniterParams{
		UniterFacade:         apiuniter.NewState(conn, unit),
		ResourcesFacade:      resources,
		PayloadFacade:        apiuniter.NewPayloadFacadeClient(conn),
		SecretsClient:        client,
		SecretsBackendGetter: func() (secrets.BackendsClient, error) { return secrets.NewClient(client) },
		UnitTag:              unit,
		ModelType:            model.IAAS,
		LeadershipTrackerFunc: func(names.UnitTag) leadership.Tracker {
			return tracker
		},
		SecretRotateWatcherFunc: rotateWatcher(client, logger),
		SecretExpiryWatcherFunc: expiryWatcher(client, logger),
		DataDir:                 dataDir,
		Downloader:              charms.NewCharmDownloader(conn),
		MachineLock:             lock,
		CharmDirGuard:           openCharmDir{},
		HookRetryStrategy: params.RetryStrategy{
			ShouldRetry: true, MinRetryTime: 300 * time.Millisecond, MaxRetryTime: time.Second, RetryTimeFactor: 1,
		},
		NewOperationExecutor: operation.NewExecutor,
		NewDeployer:          charm.NewDeployer,
		NewProcessRunner:     conn.newRunner,
		TranslateResolverErr: func(err error) error {
			if fortress.IsFortressError(err) {
				return resolver.ErrRestart
			}
			return err
		},
		Clock:         clock.WallClock,
		RebootQuerier: reboot.NewMonitor(transientDir),
		Logger:        logger,
	}, nil
}

// openCharmDir guards nothing: no other worker of this agent looks into the charm's directory.
type openCharmDir struct{}

// Unlock is part of fortress.Guard.
func (openCharmDir) Unlock() error { return nil }

// Lockdown is part of fortress.Guard.
func (openCharmDir) Lockdown(fortress.Abort) error { return nil }

func rotateWatcher(client *secretsmanager.Client, logger loggo.Logger) remotestate.SecretTriggerWatcherFunc {
	return func(unit names.UnitTag, leader bool, rotate chan []string) (worker.Worker, error) {
		return secretrotate.New(secretrotate.Config{
			SecretManagerFacade: client, Clock: clock.WallClock, Logger: logger.Child("secretsrotate"),
			SecretOwners: owners(unit, leader), RotateSecrets: rotate,
		})
	}
}

func expiryWatcher(client *secretsmanager.Client, logger loggo.Logger) remotestate.SecretTriggerWatcherFunc {
	return func(unit names.UnitTag, leader bool, expire chan []string) (worker.Worker, error) {
		return secretexpire.New(secretexpire.Config{
			SecretManagerFacade: client, Clock: clock.WallClock, Logger: logger.Child("secretsexpire"),
			SecretOwners: owners(unit, leader), ExpireRevisions: expire,
		})
	}
}

func owners(unit names.UnitTag, leader bool) []names.Tag {
	tags := []names.Tag{unit}
	if leader {
		application, err := names.UnitApplication(unit.Id())
		if err == nil {
			tags = append(tags, names.NewApplicationTag(application))
		}
	}
	return tags
}
