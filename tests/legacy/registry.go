package legacy

import (
	"errors"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// writeConfig writes config.yml with paths of the container, and notes what that mounts.
func (r *Registry) writeConfig() error {
	const dir = "/etc/docker/registry/"
	r.volumes = nil
	r.mount(dir+"config.yml", dir+"config.yml")
	auth := map[string]any{}
	if r.exists(dir + "htpasswd") {
		auth["htpasswd"] = map[string]any{"realm": r.unit.Application().Name(), "path": dir + "htpasswd"}
		r.mount(dir+"htpasswd", dir+"htpasswd")
	}
	content, err := yaml.Marshal(map[string]any{
		"version": "0.1",
		"auth":    auth,
		"http":    r.http(),
		"log":     map[string]any{"level": r.text("log-level"), "formatter": "json", "fields": map[string]any{"service": "registry"}},
		"health":  map[string]any{"storagedriver": map[string]any{"enabled": true, "interval": "10s", "threshold": 3}},
		"storage": r.storage(),
	})
	if err != nil {
		return err
	}
	return r.write(dir+"config.yml", string(content), 0o600)
}

func (r *Registry) http() map[string]any {
	http := map[string]any{
		"addr": "0.0.0.0:5000", "headers": map[string]any{"X-Content-Type-Options": []string{"nosniff"}},
		"relativeurls": true, "secret": Secret,
	}
	if host := r.text("http-host"); host != "" {
		http["host"] = host
	}
	if r.flag("prometheus-metrics") {
		http["debug"] = map[string]any{"addr": "0.0.0.0:5001", "prometheus": map[string]any{"enabled": true}}
	}
	ca, cert, key := r.text("tls-ca-path"), r.text("tls-cert-path"), r.text("tls-key-path")
	if !r.exists(cert) || !r.exists(key) {
		return http
	}
	const dir = "/etc/docker/registry/"
	tls := map[string]any{"certificate": dir + "registry.crt", "key": dir + "registry.key"}
	r.mount(cert, dir+"registry.crt")
	r.mount(key, dir+"registry.key")
	if r.exists(ca) {
		tls["clientcas"] = []string{dir + "ca.crt"}
		r.mount(ca, dir+"ca.crt")
	}
	http["tls"] = tls
	return http
}

func (r *Registry) storage() map[string]any {
	storage := map[string]any{
		"filesystem": map[string]any{"rootdirectory": "/var/lib/registry"},
		"cache":      map[string]any{"blobdescriptor": "inmemory"},
		"redirect":   map[string]any{"disable": r.flag("storage-redirect-disable")},
	}
	r.mount("/srv/registry", "/var/lib/registry")
	if r.flag("storage-delete") {
		storage["delete"] = map[string]any{"enabled": true}
	}
	return storage
}

// configureClient lets the machine's own engine use the registry: _configure_local_client.
func (r *Registry) configureClient() error {
	if !r.related {
		return r.writeDaemon(map[string]any{"insecure-registries": []string{r.netloc()}})
	}
	ca, err := r.machine.ReadFile(r.text("tls-ca-path"))
	if err != nil {
		return err
	}
	return errors.Join(
		r.write("/usr/local/share/ca-certificates/juju-docker-registry.crt", string(ca), 0o444),
		r.on(`update-ca-certificates --fresh >/dev/null
			mkdir -p "/etc/docker/certs.d/$1"
			ln -s "$2" "/etc/docker/certs.d/$1/client.cert"
			ln -s "$3" "/etc/docker/certs.d/$1/client.key"`, r.netloc(), r.text("tls-cert-path"), r.text("tls-key-path")),
		r.writeDaemon(nil))
}

// run starts the container of the registry.
func (r *Registry) run() error {
	args := []string{"run", "-d", "-p", r.text("registry-port") + ":5000", "-p", r.text("debug-port") + ":5001", "--restart", "unless-stopped"}
	for _, volume := range r.volumes {
		args = append(args, "-v", volume)
	}
	args = append(args, "--name", r.text("registry-name"), r.text("registry-image"))
	return r.on(`mkdir -p /srv/registry; docker "$@"`, args...)
}

// loadImage gives the engine the image that the charm runs, made from distribution's own program.
func (r *Registry) loadImage(program string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	if err := r.machine.WriteFile("/tmp/stock/bin/registry", content, 0o755); err != nil {
		return err
	}
	return r.on(`docker image inspect "$1" >/dev/null 2>&1 || tar -C /tmp/stock -c bin | docker import -c 'ENTRYPOINT ["/bin/registry"]' \
		-c 'CMD ["serve", "/etc/docker/registry/config.yml"]' -c 'VOLUME ["/var/lib/registry"]' - "$1"
		rm -r /tmp/stock`, r.text("registry-image"))
}

// Restarts is where the machine's NRPE, which only notes that, lists what its service is told.
const Restarts = "/var/log/nrpe-restarts"

// Monitor writes what both of its checks need, one by layer docker and one by interface
// nrpe-external-master, and returns what the unit tells NRPE.
func (r *Registry) Monitor() (bag map[string]string, err error) {
	unit := strings.ReplaceAll(r.unit.Name(), "/", "-")
	host := r.text("nagios_context") + "-" + unit
	service := func(name, text string) string {
		return "\ndefine service {\n    use                             active-service\n    host_name                       " + host +
			"\n    service_description             " + text + "\n    check_command                   check_nrpe!" + name + "\n}\n"
	}
	err = errors.Join(
		r.write("/etc/init.d/nagios-nrpe-server", "#!/bin/sh\necho \"$1\" >>"+Restarts+"\n", 0o755),
		r.write("/etc/nagios/nrpe.d/check_check_http.cfg",
			"\ncommand[check_http]=/usr/lib/nagios/plugins/check_http -I 127.0.0.1 -p "+r.text("registry-port")+" -e  200 OK -u /\n", 0o644),
		r.write("/var/lib/nagios/export/service__"+unit+"_check_http.cfg",
			service("check_http", "Verify docker-registry is responding"), 0o644),
		r.write("/etc/nagios/nrpe.d/check_docker.cfg",
			"# check docker\ncommand[check_docker]=/usr/local/lib/nagios/plugins/check_systemd.py docker\n", 0o644),
		r.write("/var/lib/nagios/export/service__"+host+"_check_docker.cfg",
			service("check_docker", host+"[docker] process check {"+r.unit.Name()+"}"), 0o644))
	return map[string]string{
		"primary":   "True",
		"monitors":  "monitors:\n  remote:\n    nrpe:\n      docker:\n        command: check_docker\n",
		"timestamp": "2026-04-01T12:00:00.000000",
	}, err
}
