package host

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// aptName begins the names of the charm's files below /etc/apt.
const aptName = "docker-registry-charm"

// cloudArchive is Canonical's archive of newer OpenStack for older Ubuntu.
const cloudArchive = "http://ubuntu-cloud.archive.canonical.com/ubuntu"

// source is where APT finds packages: a line of sources.list, or what is to be left to
// add-apt-repository. Neither means the distribution itself.
type source struct {
	line, archive string
}

// parseSource understands a source as operators write it: a deb line, `ppa:owner/name`,
// `cloud:<release>-<openstack>` with an optional pocket after a slash, or `distro`.
func parseSource(text, release string) (source, error) {
	text = strings.TrimSpace(text)
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "" || text == "distro":
		return source{}, nil
	case strings.HasPrefix(text, "deb ") || strings.HasPrefix(text, "deb-src "):
		if strings.ContainsAny(text, "\r\n") {
			break
		}
		return source{line: text}, nil
	case kind == "ppa" || kind == "cloud-archive":
		return source{archive: text}, nil
	case kind == "cloud":
		openstack := strings.TrimPrefix(rest, release+"-")
		openstack, pocket, found := strings.Cut(openstack, "/")
		if !found {
			pocket = "updates"
		}
		if openstack == "updates" && found {
			// Another spelling, cloud:jammy-updates/antelope.
			openstack, pocket = pocket, "updates"
		}
		return source{line: fmt.Sprintf("deb %s %s-%s/%s main", cloudArchive, release, pocket, openstack)}, nil
	}
	return source{}, fmt.Errorf(`cannot add APT source %q: must begin with "deb ", "ppa:" or "cloud:"`, redactURL(text))
}

// signedBy tells APT that only one key counts for a source.
func signedBy(line, keyring string) string {
	kind, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if options, ok := strings.CutPrefix(rest, "["); ok {
		if strings.Contains(options, "signed-by=") {
			return line
		}
		return fmt.Sprintf("%s [signed-by=%s %s", kind, keyring, strings.TrimSpace(options))
	}
	return fmt.Sprintf("%s [signed-by=%s] %s", kind, keyring, rest)
}

// sourceFiles are a deb line and its key as files for APT.
func (e *Engine) sourceFiles(name, line string, key []byte) []desired.File {
	var files []desired.File
	if len(key) > 0 {
		extension := ".gpg"
		if armoured(key) {
			extension = ".asc"
		}
		keyring := "/etc/apt/keyrings/" + name + extension
		line = signedBy(line, keyring)
		files = append(files, desired.File{Path: e.layout.On(keyring), Content: key, Mode: 0o644})
	}
	mode := uint32(0o644)
	if redactURL(line) != line {
		mode = 0o600
	}
	list := "/etc/apt/sources.list.d/" + name + ".list"
	return append(files, desired.File{Path: e.layout.On(list), Content: []byte(line + "\n"), Mode: mode})
}

// addSources adds the operator's APT sources and takes away those that he no longer
// wants. It returns those that add-apt-repository has now.
func (e *Engine) addSources(ctx context.Context, record engineRecord, host config.Host, proxy desired.Proxy) ([]string, error) {
	var files []desired.File
	var archives []string
	release := e.release()
	for i, text := range host.Sources {
		source, err := parseSource(text, release)
		if err != nil {
			return nil, err
		}
		if source.archive != "" {
			archives = append(archives, source.archive)
		}
		if source.line == "" {
			continue
		}
		var key []byte
		if i < len(host.Keys) {
			if key, err = findKey(ctx, host.Keys[i], host.KeyServer, proxy); err != nil {
				return nil, fmt.Errorf("cannot add APT source %q: %w", redactURL(text), err)
			}
		}
		if strings.Contains(source.line, cloudArchive) && len(key) == 0 && !e.apt(proxy).installed(ctx, "ubuntu-cloud-keyring") {
			if err := e.apt(proxy).install(ctx, "ubuntu-cloud-keyring"); err != nil {
				return nil, err
			}
		}
		files = append(files, e.sourceFiles(fmt.Sprintf("%s-%d", aptName, i), source.line, key)...)
	}
	if _, err := e.sources.Sync(files); err != nil {
		return nil, err
	}
	return archives, e.syncArchives(ctx, record.Archives, archives, proxy)
}

// syncArchives lets add-apt-repository add and remove what it manages.
func (e *Engine) syncArchives(ctx context.Context, have, want []string, proxy desired.Proxy) error {
	apt := e.apt(proxy)
	if len(want) > 0 && !e.run.Has("add-apt-repository") {
		if err := apt.install(ctx, "software-properties-common"); err != nil {
			return err
		}
	}
	for _, archive := range want {
		if slices.Contains(have, archive) {
			continue
		}
		if _, err := e.run.Run(ctx, Command{Env: apt.env, Args: []string{"add-apt-repository", "--yes", archive}}); err != nil {
			return fmt.Errorf("cannot add APT source %q: %w", archive, err)
		}
	}
	for _, archive := range have {
		if slices.Contains(want, archive) {
			continue
		}
		if _, err := e.run.Run(ctx, Command{Env: apt.env, Args: []string{"add-apt-repository", "--yes", "--remove", archive}}); err != nil {
			return fmt.Errorf("cannot remove APT source %q: %w", archive, err)
		}
	}
	return nil
}

// addRepository adds the operator's own repository of the engine, in which {ARCH} and
// {CODE} stand for the machine's architecture and release.
func (e *Engine) addRepository(ctx context.Context, custom config.CustomEngine, proxy desired.Proxy) error {
	if custom.Repository == "" {
		return nil
	}
	line := strings.NewReplacer("{ARCH}", runtime.GOARCH, "{CODE}", e.release()).Replace(custom.Repository)
	source, err := parseSource(line, e.release())
	if err != nil {
		return err
	}
	if source.line == "" {
		return fmt.Errorf(`cannot add APT source %q: must begin with "deb "`, redactURL(line))
	}
	var key []byte
	if custom.KeyURL != "" {
		if key, err = download(ctx, custom.KeyURL, proxy); err != nil {
			return fmt.Errorf("cannot add APT source %q: %w", redactURL(line), err)
		}
	}
	_, err = e.repository.Sync(e.sourceFiles(aptName+"-engine", source.line, key))
	return err
}

// release is the code name of the machine's distribution, `jammy`; "" if it has none.
func (e *Engine) release() string {
	text, err := os.ReadFile(e.layout.On("/etc/os-release"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// redactURL hides the user and password of URLs in text.
func redactURL(text string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		u, err := url.Parse(word)
		if err == nil && u.User != nil {
			u.User = nil
			words[i] = u.Scheme + "://<redacted>@" + path.Join(u.Host, u.Path)
		}
	}
	return strings.Join(words, " ")
}
