package script

import (
	"context"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// disturbance is what goes wrong, and what happens by itself.
func disturbance() map[string]command {
	return map[string]command{
		"update-status": {1, 1, func(_ context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
			u, err := w.unit(args[0])
			if err == nil {
				u.UpdateStatus()
			}
			return "", err
		}},
		"kill-hook": {2, 2, killHook},
		"agent":     {2, 2, actOnAgent},
		"engine":    {2, 2, actOnEngine},
		"reboot": {1, 1, func(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
			u, err := w.unit(args[0])
			if err != nil {
				return "", err
			}
			return "", u.Reboot(ctx)
		}},
	}
}

func killHook(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	after, err := time.ParseDuration(args[1])
	if err != nil {
		return "", err
	}
	hook, killed, err := u.KillHook(ctx, after)
	if err != nil {
		return "", err
	}
	if !killed {
		return hook.Name + " was done\n", nil
	}
	return hook.Name + " killed\n", nil
}

func actOnAgent(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	switch args[1] {
	case "start":
		return "", u.StartAgent(ctx)
	case "stop":
		u.StopAgent()
	case "kill":
		u.KillAgent()
	default:
		return "", fmt.Errorf("cannot %s an agent: want start, stop or kill", args[1])
	}
	return "", nil
}

func actOnEngine(ctx context.Context, w *world, _ *testscript.TestScript, args []string) (string, error) {
	u, err := w.unit(args[0])
	if err != nil {
		return "", err
	}
	switch m := u.Machine(); args[1] {
	case "start":
		return "", m.StartEngine(ctx)
	case "stop":
		return "", m.StopEngine(ctx)
	case "kill":
		return "", m.KillEngine(ctx)
	case "restart":
		return "", m.RestartEngine(ctx)
	}
	return "", fmt.Errorf("cannot %s an engine: want start, stop, kill or restart", args[1])
}
