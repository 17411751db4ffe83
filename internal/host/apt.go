package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// updateAttempts bounds how often package lists are fetched: another apt-get may hold
// their lock, and archives answer badly for a moment while they are synchronised.
const updateAttempts = 3

// apt is the machine's package manager.
type apt struct {
	run  Runner
	env  []string
	wait waiting
	log  *slog.Logger
}

func (e *Engine) apt(proxy desired.Proxy) apt {
	env := []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	for name, value := range map[string]string{"http_proxy": proxy.HTTP, "https_proxy": proxy.HTTPS, "no_proxy": proxy.No} {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return apt{run: e.run, env: env, wait: e.wait, log: e.log}
}

// aptGet is apt-get as it behaves when nobody is there to answer: it waits for other
// package managers and keeps configuration files that somebody changed.
func (a apt) aptGet(ctx context.Context, args ...string) error {
	output, err := a.run.Run(ctx, Command{Env: a.env, Args: append([]string{
		"apt-get", "--yes", "--quiet",
		"-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", "-o", "Dpkg::Options::=--force-confold",
	}, args...)})
	if err == nil {
		return nil
	}
	complaints := errorLines(output)
	switch {
	case complaints == "":
		return err
	case unknownPackage().MatchString(output):
		return &unknownError{complaints}
	}
	return errors.New(complaints)
}

// unknownError means that no package list has a package.
type unknownError struct{ complaints string }

func (e *unknownError) Error() string { return e.complaints }

func unknownPackage() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^E: (Unable to locate package |Package .* has no installation candidate|Version .* was not found)`)
}

// mistake blames an option for a package that no source has, and nothing else.
func mistake(err error, option string) error {
	if unknown := (*unknownError)(nil); errors.As(err, &unknown) {
		return config.Problems{{Option: option, Text: fmt.Sprintf("must name what the machine's APT sources have (%s)", unknown)}}
	}
	return err
}

// update fetches the package lists. Without the argument apt-get takes the lists that
// it has where an archive does not answer, and nobody would learn why a package is
// missing.
func (a apt) update(ctx context.Context) error {
	delay := a.wait.retry
	for attempt := 1; ; attempt++ {
		err := a.aptGet(ctx, "update", "--error-on=any")
		if err == nil || attempt == updateAttempts {
			return err
		}
		a.log.Warn("package lists not fetched, trying again", "cause", err)
		if err := pause(ctx, delay); err != nil {
			return err
		}
		delay *= 2
	}
}

// install installs packages with fresh lists. The error is an [unknownError] only if
// the lists are complete.
func (a apt) install(ctx context.Context, packages ...string) error {
	// An archive that is not needed may be down: only the installation counts.
	updated := a.update(ctx)
	err := a.aptGet(ctx, append([]string{"install", "--no-install-recommends", "--"}, packages...)...)
	what := fmt.Sprintf("package %q", strings.Join(packages, `", "`))
	switch {
	case err != nil && updated != nil:
		return fmt.Errorf("cannot install %s: %v (package lists are old: %v)", what, err, updated)
	case err != nil:
		return fmt.Errorf("cannot install %s: %w", what, err)
	}
	a.log.Info("packages installed", "packages", packages)
	return nil
}

// mark sets or clears the hold of a package.
func (a apt) mark(ctx context.Context, mark, name string) error {
	if _, err := a.run.Run(ctx, Command{Env: a.env, Args: []string{"apt-mark", mark, "--", name}}); err != nil {
		return fmt.Errorf("cannot %s package %q: %w", mark, name, err)
	}
	return nil
}

// installed says that a package is installed.
func (a apt) installed(ctx context.Context, name string) bool {
	status, err := a.run.Run(ctx, Command{Env: a.env, Args: []string{"dpkg-query", "--show", "--showformat=${db:Status-Status}", "--", name}})
	return err == nil && strings.TrimSpace(status) == "installed"
}

// errorLines are the last complaints in what apt-get printed.
func errorLines(output string) string {
	var complaints []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "E: ") {
			complaints = append(complaints, line)
		}
	}
	return tail(strings.Join(complaints, ""), "")
}

// Packages brings the APT sources and the packages that the operator asked for, and
// runs nothing if they are as they were asked for before.
func (e *Engine) Packages(ctx context.Context, host config.Host, proxy desired.Proxy) error {
	if e.config == "" {
		return nil
	}
	record, err := e.load()
	if err != nil {
		return err
	}
	asked := ""
	if len(host.Sources) > 0 || len(host.Packages) > 0 {
		if asked, err = digest([]any{host.Sources, host.Keys, host.KeyServer, host.Packages}); err != nil {
			return err
		}
	}
	if asked == record.Packages {
		return nil
	}
	record.Archives, err = e.addSources(ctx, record, host, proxy)
	if err != nil {
		return err
	}
	apt := e.apt(proxy)
	if len(host.Packages) > 0 {
		err = mistake(apt.install(ctx, host.Packages...), "extra_packages")
	} else if asked != "" {
		err = apt.update(ctx)
	}
	if err != nil {
		return err
	}
	record.Packages = asked
	return e.save(record)
}

// install installs the engine's package.
func (e *Engine) install(ctx context.Context, engine config.Engine, proxy desired.Proxy) error {
	if engine.Source == "custom" {
		if err := e.addRepository(ctx, engine.Custom, proxy); err != nil {
			return err
		}
	}
	err := e.apt(proxy).install(ctx, enginePackage(engine))
	if engine.Source == "custom" {
		return mistake(err, "docker_runtime_package")
	}
	return err
}
