package swift

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writeConfiguration writes what the servers read: a file and a ring for each, but for the proxy, which
// has no ring.
func (s *Server) writeConfiguration(options Options) error {
	for _, dir := range []string{s.path("etc"), s.path("cache"), s.path("srv", disk)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range storageServers {
		_, port, _ := net.SplitHostPort(s.addresses[name]) // it is one that process made
		number, _ := strconv.Atoi(port)
		if err := writeRing(s.path("etc", name+".ring.gz"), number); err != nil {
			return err
		}
		if err := s.writeFile(name, s.storageConfiguration(name)); err != nil {
			return err
		}
	}
	return s.writeFile("proxy", s.proxyConfiguration(options))
}

func (s *Server) writeFile(name string, sections []string) error {
	return os.WriteFile(s.configFile(name), []byte(strings.Join(sections, "\n")), 0o600)
}

func (s *Server) configFile(name string) string { return s.path("etc", name+"-server.conf") }

func (s *Server) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// section renders one section; lines are "key = value".
func section(name string, lines ...string) string {
	return "[" + name + "]\n" + strings.Join(lines, "\n") + "\n"
}

func (s *Server) defaults(name string, more ...string) string {
	host, port, _ := net.SplitHostPort(s.addresses[name])
	return section("DEFAULT", append([]string{
		"bind_ip = " + host, "bind_port = " + port, "workers = 0", "user = root", "swift_dir = " + s.path("etc"),
	}, more...)...)
}

func (s *Server) storageConfiguration(name string) []string {
	return []string{
		s.defaults(name, "devices = "+s.path("srv"), "mount_check = false", "disable_fallocate = true",
			// No daemon runs here that brings a listing later what a busy machine does not bring at once.
			"conn_timeout = 10", "node_timeout = 60", "container_update_timeout = 60"),
		section("pipeline:main", "pipeline = healthcheck recon "+name+"-server"),
		section("app:"+name+"-server", "use = egg:swift#"+name),
		section("filter:healthcheck", "use = egg:swift#healthcheck"),
		section("filter:recon", "use = egg:swift#recon", "recon_cache_path = "+s.path("cache")),
	}
}

// pipeline is Debian's, but for what the options change.
func pipeline(options Options) []string {
	names := []string{"catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats"}
	if !options.DynamicOnly {
		names = append(names, "bulk")
	}
	names = append(names, "tempurl")
	if options.Keystone != nil {
		names = append(names, "authtoken", "keystoneauth")
	} else {
		names = append(names, "tempauth")
	}
	names = append(names, "copy", "container-quotas", "account-quotas")
	if !options.DynamicOnly {
		names = append(names, "slo")
	}
	// Swift wants proxy-logging twice.
	return append(names, "dlo", "versioned_writes", "symlink", "proxy-logging", "proxy-server")
}

func (s *Server) proxyConfiguration(options Options) []string {
	names := pipeline(options)
	sections := []string{
		s.defaults("proxy"),
		section("pipeline:main", "pipeline = "+strings.Join(names, " ")),
		section("app:proxy-server", "use = egg:swift#proxy", "account_autocreate = true",
			"allow_account_management = true",
			// There is no second disk to turn to from one that is busy.
			"error_suppression_limit = 1000000", "conn_timeout = 10", "node_timeout = 60",
			// A quota sees what is used of a container only this many seconds later.
			"recheck_container_existence = 1"),
	}
	written := map[string]bool{"proxy-server": true}
	for _, name := range names {
		if !written[name] {
			sections = append(sections, section("filter:"+name, s.filter(name, options)...))
		}
		written[name] = true
	}
	return sections
}

func (s *Server) filter(name string, options Options) []string {
	lines := []string{"use = egg:swift#" + strings.ReplaceAll(name, "-", "_")}
	switch name {
	case "cache":
		return []string{"use = egg:swift#memcache", "memcache_servers = " + s.addresses[memcached]}
	case "tempauth":
		lines = append(lines, "storage_url_scheme = http", fmt.Sprintf("user_%s_%s = %s .admin", account, user, s.Password))
		if options.TokenLife > 0 {
			lines = append(lines, fmt.Sprintf("token_life = %d", int(options.TokenLife.Seconds())))
		}
	case "authtoken":
		return options.Keystone.ServiceFilter()
	case "keystoneauth":
		lines = append(lines, "operator_roles = admin, operator")
	}
	return lines
}
