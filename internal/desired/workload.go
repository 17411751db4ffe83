package desired

import (
	"fmt"
	"path"

	"docker-registry-operator/internal/config"
)

// authorities is the host's directory of trusted authorities, for the registry's
// own connections to storage, upstream and notification endpoints.
const authorities = "/etc/ssl/certs"

// machineAuthorities is the file of all of them, made by package ca-certificates.
const machineAuthorities = authorities + "/ca-certificates.crt"

// firstFreePort is the first port that a process may listen on without
// CAP_NET_BIND_SERVICE.
const firstFreePort = 1024

func workload(in Input, cert *config.Certificate, files []File) Workload {
	layout, conf := in.Facts.Layout, in.Config
	w := Workload{
		Name:         conf.Container.Name,
		Unit:         in.Facts.Unit,
		Image:        conf.Container.Image,
		ConfigFile:   path.Join(layout.Config(), configName),
		Config:       digestOf(files, configName),
		User:         in.Facts.User,
		Capabilities: capabilities(in),
		Mounts: []Mount{
			{Path: layout.Config(), ReadOnly: true},
			{Path: in.Facts.Data()},
		},
		Port:    conf.HTTP.Port,
		TLS:     cert != nil,
		Stopped: in.Facts.Stopped,
	}
	if name := authoritiesName(conf.Storage); name != "" {
		// Go takes it in the place of the one file of the machine's authorities, and
		// reads the directory of them beside it.
		w.Env = append(w.Env, "SSL_CERT_FILE="+path.Join(layout.Config(), name))
	}
	if in.Facts.Image.Stock {
		w.Env = append(w.Env, environment(conf.Container)...)
	} else {
		w.Sockets = layout.Sockets()
		w.Mounts = append(w.Mounts, Mount{Path: layout.Sockets()})
		if digest := digestOf(files, environmentName); digest != "" {
			w.Environment = path.Join(layout.Config(), environmentName)
			w.EnvironmentDigest = digest
		}
	}
	if in.Facts.Certificates {
		w.Mounts = append(w.Mounts, Mount{Path: authorities, ReadOnly: true})
	}
	return w
}

// Args are the arguments of the registry command for w, with its admin socket at
// that path; "" for an image without one.
func (w Workload) Args(socket string) []string {
	args := []string{"serve"}
	if socket != "" {
		args = append(args, "--admin", socket)
		if len(w.Capabilities) > 0 {
			args = append(args, "--user", fmt.Sprintf("%d:%d", w.User.UID, w.User.GID))
		}
		if w.Environment != "" {
			args = append(args, "--environment", w.Environment)
		}
	}
	return append(args, w.ConfigFile)
}

// capabilities are what the registry needs beyond a plain user's rights: to listen
// on a low port, and to write among files that are not yet its own.
func capabilities(in Input) []string {
	var names []string
	if in.Facts.ForeignData || in.Facts.Image.Stock {
		names = append(names, "DAC_OVERRIDE")
	}
	http := in.Config.HTTP
	if http.Port < firstFreePort || http.DebugPort < firstFreePort {
		names = append(names, "NET_BIND_SERVICE")
	}
	return names
}
