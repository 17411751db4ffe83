package desired

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/relation"
)

// plugins is where nagios-plugins has its programs.
const plugins = "/usr/lib/nagios/plugins/"

// check is one check of the unit.
type check struct {
	// name is unique on the machine: letters, digits, hyphens and underscores.
	name, text, command string
}

// checks are those of the registry as it is configured.
func checks(in Input, cert *config.Certificate) []check {
	port := in.Config.HTTP.Port
	all := []check{{"docker_registry", "Registry answers", answers(in, cert)}}
	if cert != nil {
		warn, critical := remaining(*cert)
		all = append(all, check{
			"docker_registry_certificate", "Certificate of the registry is valid",
			fmt.Sprintf("check_http -S -I 127.0.0.1 -p %d -C %d,%d", port, warn, critical),
		})
	}
	if _, own := in.Config.Storage.Backend.(config.Filesystem); own {
		all = append(all, check{
			"docker_registry_disk", "Images have free space",
			// Images are many small files: inodes may end before space does.
			fmt.Sprintf("check_disk -w 20%% -c 10%% -W 20%% -K 10%% -p %s", in.Facts.Data()),
		})
	}
	return all
}

// answers asks for "/", which needs no password. Where clients need certificates, which
// the user of NRPE has none of, it is content with TLS.
func answers(in Input, cert *config.Certificate) string {
	port := in.Config.HTTP.Port
	if clients := in.Config.TLS.Clients; clients != nil && clients.Required {
		return fmt.Sprintf("check_tcp -H 127.0.0.1 -p %d -S", port)
	}
	command := fmt.Sprintf(`check_http -I 127.0.0.1 -p %d -e " 200 OK" -u /`, port)
	if cert != nil {
		command += " -S"
	}
	return command
}

// remaining is when to warn of a certificate's end, in days: early enough to replace
// it by hand, and later than a provider is asked for another one.
func remaining(cert config.Certificate) (warn, critical int64) {
	const day = 24 * 60 * 60
	warn = min(30, max(1, hundredths(cert, 8)/day))
	return warn, min(7, max(1, warn/4))
}

// monitorFiles are those of NRPE, none where it is not installed.
func monitorFiles(in Input, cert *config.Certificate) []File {
	if len(in.Relations.Monitors) == 0 || !in.Facts.Checks {
		return nil
	}
	var files []File
	for _, c := range checks(in, cert) {
		files = append(files, File{
			Path:    path.Join(in.Facts.Layout.Checks(), "check_"+c.name+".cfg"),
			Content: fmt.Appendf(nil, "# Written by Juju.\ncommand[check_%s]=%s%s\n", c.name, plugins, c.command),
			Mode:    public,
		})
		if !in.Facts.Exports {
			continue
		}
		host := nagiosHost(in)
		files = append(files, File{
			Path:    path.Join(in.Facts.Layout.Exports(), fmt.Sprintf("service__%s_check_%s.cfg", host, c.name)),
			Content: c.service(host, in.Config.Nagios.Groups),
			Mode:    public,
		})
	}
	return files
}

// service is what Nagios is told of a check.
func (c check) service(host string, groups []string) []byte {
	var out strings.Builder
	out.WriteString("# Written by Juju.\ndefine service {\n")
	for _, directive := range [][2]string{
		{"use", "active-service"},
		{"host_name", host},
		{"service_description", fmt.Sprintf("%s[%s] %s", host, c.name, c.text)},
		{"check_command", "check_nrpe!check_" + c.name},
		{"servicegroups", strings.Join(groups, ",")},
	} {
		if directive[1] != "" {
			fmt.Fprintf(&out, "    %-31s %s\n", directive[0], directive[1])
		}
	}
	out.WriteString("}\n")
	return []byte(out.String())
}

// nagiosHost is what Nagios calls the machine.
func nagiosHost(in Input) string {
	own := relation.Hyphened(in.Facts.Unit)
	if prefix := in.Config.Nagios.Context; prefix != "" {
		own = prefix + "-" + own
	}
	for _, monitor := range in.Relations.Monitors {
		own = cmp.Or(monitor.NagiosHost(), own)
	}
	return own
}

// monitorBags tell NRPE which checks there are.
func monitorBags(in Input, cert *config.Certificate) []Databag {
	var names []string
	for _, c := range checks(in, cert) {
		names = append(names, c.name)
	}
	var bags []Databag
	for _, monitor := range in.Relations.Monitors {
		bags = append(bags, Databag{Relation: monitor.ID, Now: monitor.Own, Settings: relation.MonitorBag(names)})
	}
	return bags
}
