package native

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// words is the file with what the service's registry has written to standard error
// since it was last started.
func (s service) words() string { return filepath.Join(s.dir, "stderr") }

// unitText is the service as a unit of systemd, see systemd.service(5) and
// systemd.exec(5). The registry ends with 0 when it was told to retire, and then
// stays down.
func unitText(s service) string {
	command := []string{argument(s.Binary)}
	for _, arg := range s.rootArguments() {
		command = append(command, argument(arg))
	}
	var b strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&b, format+"\n", values...) }
	line("[Unit]")
	line("Description=OCI registry %s of unit %s", escape(s.Name), escape(s.Unit))
	line("Wants=network-online.target")
	line("After=network-online.target")
	line("StartLimitIntervalSec=0")
	line("")
	line("[Service]")
	line("Type=exec")
	line("ExecStart=%s", strings.Join(command, " "))
	line("ExecReload=/bin/kill -HUP $MAINPID")
	line("Restart=on-failure")
	line("RestartSec=1")
	line("KillSignal=SIGTERM")
	line("TimeoutStopSec=%d", stopSeconds)
	line("StandardError=truncate:%s", escape(s.words()))
	for _, setting := range s.Env {
		line("Environment=%s", quote(setting))
	}
	line("CapabilityBoundingSet=%s", capabilities(s))
	for _, m := range s.Mounts {
		if !m.ReadOnly {
			line("ReadWritePaths=%s", quote(m.Path))
		}
	}
	b.WriteString(hardening)
	return b.String()
}

// hardening is the part of a unit that is the same for all. LimitNOFILE allows for a
// connection, a file and an upstream each for some thousand clients; where the limit of
// the machine is lower, systemd takes that.
const hardening = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
`

// rootArguments let a registry that root starts become its user by itself. systemd
// cannot do it: as User= it takes only who has an entry in passwd.
func (s service) rootArguments() []string {
	args := s.arguments()
	if slices.Contains(args, "--user") {
		return args
	}
	return slices.Insert(args, 1, "--user", fmt.Sprintf("%d:%d", s.User.UID, s.User.GID))
}

// capabilities are those that the registry keeps, and those that it needs to become
// its user.
func capabilities(s service) string {
	names := []string{"CAP_SETGID", "CAP_SETUID"}
	for _, name := range s.Capabilities {
		names = append(names, "CAP_"+name)
	}
	return strings.Join(names, " ")
}

// escape keeps systemd from replacing specifiers, systemd.unit(5).
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// quote makes one word of text, without specifiers or escapes.
func quote(text string) string {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(escape(text))
	return `"` + text + `"`
}

// argument makes one word of a command, without variables either.
func argument(text string) string { return strings.ReplaceAll(quote(text), "$", "$$") }
