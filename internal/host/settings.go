package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"docker-registry-operator/internal/config"
)

// insecureKey is the key of daemon.json for registries without TLS.
const insecureKey = "insecure-registries"

// restartNote tells of options that a running engine cannot take.
const restartNote = "docker daemon options take effect when Docker is restarted"

// defaultOption is a key's value in the default of option daemon-opts; nil for other
// keys. The default bounds the logs of an engine that the charm brings. Whoever
// brought an engine himself, or set the key himself, is not overruled by a default.
func defaultOption(key string) json.RawMessage {
	switch key {
	case "log-driver":
		return json.RawMessage(`"json-file"`)
	case "log-opts":
		return json.RawMessage(`{"max-size":"10m","max-file":"100"}`)
	}
	return nil
}

// reloadable says that dockerd takes a key of daemon.json on SIGHUP, see
// https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior
func reloadable(key string) bool {
	switch key {
	case "allow-nondistributable-artifacts", "authorization-plugins", "debug", "default-runtime", "features",
		insecureKey, "labels", "live-restore", "max-concurrent-downloads", "max-concurrent-uploads",
		"max-download-attempts", "registry-mirrors", "runtimes", "shutdown-timeout":
		return true
	}
	return false
}

// configure sets the engine's options for its next start, and at once those that it
// takes while it runs.
func (e *Engine) configure(ctx context.Context, engine config.Engine) (notes []string, err error) {
	record, err := e.load()
	if err != nil {
		return nil, err
	}
	// Not found means that it does not run, or not here; then its file is all there is.
	now, _ := e.daemon.process()
	fresh := !e.configuresService()
	late, err := e.configureService(ctx, engine)
	if err != nil {
		return nil, err
	}
	// Whoever gave the engine its options before gave it these.
	late = late && !(fresh && now.started(engine))
	next := record.clone()
	notes, err = e.wantOptions(&next, engine, now)
	if err != nil {
		return nil, err
	}
	changed, err := e.rewrite(ctx, record, next, now)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(changed, reloadable) && now.pid != 0 {
		if err := now.reload(); err != nil {
			return nil, err
		}
	}
	late = late || slices.ContainsFunc(changed, func(key string) bool {
		_, wanted := next.Options[key]
		// Like what cannot be reloaded, what is gone stays as it is until a restart.
		gone := !wanted && key != insecureKey && record.Options[key].Before == nil
		return gone || !reloadable(key)
	})
	// Without systemd nobody hands arguments to an engine that the charm did not start.
	lacking := !e.systemd && now.lacks(engine.Opts)
	if late, err = e.outdated(next, now, late); late || lacking {
		notes = append(notes, restartNote)
	}
	return notes, err
}

// configuresService says that the charm has a part in how systemd starts dockerd.
func (e *Engine) configuresService() bool {
	_, err := os.Lstat(e.layout.On(dropIn))
	return err == nil
}

// configureService writes what systemd starts dockerd with, and says whether it
// changed.
func (e *Engine) configureService(ctx context.Context, engine config.Engine) (changed bool, err error) {
	change, err := e.service.Sync(e.serviceFiles(engine))
	if err != nil || len(change.Written)+len(change.Removed) == 0 {
		return false, err
	}
	_, err = e.run.Run(ctx, Command{Args: []string{"systemctl", "daemon-reload"}})
	return true, err
}

// outdated says whether the engine that runs was started before its options changed,
// and remembers it.
func (e *Engine) outdated(record engineRecord, now process, changed bool) (bool, error) {
	before := record.Outdated
	switch {
	case now.pid == 0:
		record.Outdated = ""
	case changed:
		record.Outdated = now.String()
	case record.Outdated != now.String():
		record.Outdated = ""
	}
	if record.Outdated == before {
		return before != "", nil
	}
	return record.Outdated != "", e.save(record)
}

// wantOptions puts the options of daemon.json into record, and tells of those that
// cannot be set.
func (e *Engine) wantOptions(record *engineRecord, engine config.Engine, now process) (notes []string, err error) {
	file, err := readDaemonFile(e.config)
	if err != nil {
		return nil, err
	}
	old := record.Options
	record.Options = map[string]option{}
	delete(record.Insecure, "daemon-opts")
	next := process{args: engine.Opts}
	for _, key := range slices.Sorted(maps.Keys(engine.Daemon)) {
		value, err := json.Marshal(engine.Daemon[key])
		if err != nil {
			return nil, fmt.Errorf("cannot set docker daemon option %q: %w", key, err)
		}
		before, ours := old[key]
		present := file.values[key]
		if sameJSON(value, defaultOption(key)) && (record.Installed == "" || present != nil && !ours) {
			continue
		}
		if now.flag(key) || next.flag(key) {
			notes = append(notes, fmt.Sprintf("docker daemon option %q is an argument of dockerd already and was left alone", key))
			continue
		}
		var list []string
		if key == insecureKey && json.Unmarshal(value, &list) == nil {
			record.Insecure["daemon-opts"] = list
			continue
		}
		if !ours {
			before.Before = present
		}
		record.Options[key] = option{Ours: value, Before: before.Before}
	}
	return notes, nil
}

// rewrite changes daemon.json from what record says that the charm set to what next
// says, and returns the keys whose values changed. Records are saved so that a crash
// at any point leaves one that knows every value that the charm set.
func (e *Engine) rewrite(ctx context.Context, record, next engineRecord, now process) (changed []string, err error) {
	file, err := readDaemonFile(e.config)
	if err != nil {
		return nil, err
	}
	list, err := mergeInsecure(file, record, &next)
	if err != nil {
		return nil, err
	}
	// Whatever is set now or was set before is the charm's until the file is written.
	during := next.clone()
	maps.Copy(during.Options, record.Options)
	maps.Copy(during.Options, next.Options)
	for who, added := range record.Insecure {
		during.Insecure[who] = slices.Concat(added, next.Insecure[who])
	}
	if list == nil && file.values[insecureKey] != nil {
		if err := e.distrust(ctx, file, record, now); err != nil {
			return nil, err
		}
	}
	changed = file.setOptions(record.Options, next.Options)
	if file.set(insecureKey, list) {
		changed = append(changed, insecureKey)
	}
	if len(changed) > 0 {
		if err := e.saveChange(record, during); err != nil {
			return nil, err
		}
		if err := file.write(); err != nil {
			return nil, err
		}
		record = during
	}
	return changed, e.saveChange(record, next)
}

// setOptions sets what the charm wants, puts back what was there before the charm set
// what it no longer wants, and returns the keys whose values changed. A value that
// somebody changed since is his.
func (f *daemonFile) setOptions(old, wanted map[string]option) (changed []string) {
	for _, key := range slices.Sorted(maps.Keys(old)) {
		_, stays := wanted[key]
		if !stays && sameJSON(f.values[key], old[key].Ours) && f.set(key, old[key].Before) {
			changed = append(changed, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if f.set(key, wanted[key].Ours) {
			changed = append(changed, key)
		}
	}
	return changed
}

// distrust makes a running engine forget all registries without TLS, because it
// remembers them when the key goes away as a whole.
func (e *Engine) distrust(ctx context.Context, file daemonFile, record engineRecord, now process) error {
	if now.pid == 0 {
		return nil
	}
	file.values = maps.Clone(file.values)
	file.set(insecureKey, json.RawMessage("[]"))
	if err := file.write(); err != nil {
		return err
	}
	if err := now.reload(); err != nil {
		return err
	}
	netlocs := slices.Concat(slices.Collect(maps.Values(record.Insecure))...)
	// Whoever is trusted for another reason stays so; there is no more to wait for.
	e.await(ctx, func(engine info) bool { return !slices.ContainsFunc(netlocs, engine.insecure) })
	return nil
}

// saveChange saves a record if it differs from what was saved last.
func (e *Engine) saveChange(saved, record engineRecord) error {
	a, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	b, err := json.Marshal(record)
	if err != nil || bytes.Equal(a, b) {
		return err
	}
	return e.save(record)
}

// mergeInsecure is what insecure-registries is to be: what others put there, and what
// next asks for. What others put there is taken out of next, because it is not the
// charm's to remove.
func mergeInsecure(file daemonFile, record engineRecord, next *engineRecord) (json.RawMessage, error) {
	present := file.values[insecureKey]
	have := file.list(insecureKey)
	if present != nil && have == nil && !sameJSON(present, json.RawMessage("[]")) {
		return nil, &PathError{Op: "read", Path: file.path, Err: fmt.Errorf("%q is not a list of strings", insecureKey)}
	}
	ours := slices.Concat(slices.Collect(maps.Values(record.Insecure))...)
	others := slices.DeleteFunc(slices.Clone(have), func(entry string) bool { return slices.Contains(ours, entry) })
	var wanted []string
	for who, entries := range next.Insecure {
		entries = slices.DeleteFunc(slices.Clone(entries), func(entry string) bool { return slices.Contains(others, entry) })
		next.Insecure[who] = entries
		if len(entries) == 0 {
			delete(next.Insecure, who)
		}
		wanted = append(wanted, entries...)
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	// The order of what is there stays, so that nothing changes if nothing has to.
	list := slices.DeleteFunc(slices.Clone(have), func(entry string) bool {
		return !slices.Contains(others, entry) && !slices.Contains(wanted, entry)
	})
	for _, entry := range wanted {
		if !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	if len(list) == 0 && len(others) == 0 && len(ours) > 0 {
		return nil, nil
	}
	if len(list) == 0 {
		return present, nil
	}
	return json.Marshal(list)
}

// unset takes everything out of daemon.json that the charm put there. An engine that
// does not run reads the file when it does.
func (e *Engine) unset(ctx context.Context, record engineRecord) error {
	next := record.clone()
	next.Options, next.Insecure = map[string]option{}, map[string][]string{}
	now, _ := e.daemon.process()
	changed, err := e.rewrite(ctx, record, next, now)
	if err != nil || now.pid == 0 || !slices.ContainsFunc(changed, reloadable) {
		return err
	}
	return now.reload()
}

func (r engineRecord) clone() engineRecord {
	r.Options, r.Insecure, r.Archives = maps.Clone(r.Options), maps.Clone(r.Insecure), slices.Clone(r.Archives)
	return r
}
