package desired

import (
	"fmt"
	"strings"
)

// status is what a unit in its desired state says. Other charms' tests look for
// `Ready at <host:port> (<scheme>).`
func status(in Input, served serving, name names) Status {
	if in.Facts.Stopped {
		return Status{Blocked, in.Config.Container.Name + " container is stopped."}
	}
	// Behind a proxy each unit tells its own address, by which they can be told apart.
	netloc, how := name.netloc, scheme(served.cert != nil)
	if name.proxy != "" {
		how += ", proxied"
		if in.Config.HTTP.Host.Netloc == "" {
			netloc = name.own
		}
	}
	notes := []string{fmt.Sprintf("Ready at %s (%s).", netloc, how)}
	if served.cert != nil && served.cert.ExpiredAt(in.Facts.Now) {
		notes = append(notes, "The certificate has expired; replace it, clients refuse it.")
	}
	notes = append(notes, served.notes...)
	notes = append(notes, authNotes(in)...)
	if note := failoverNote(in); note != "" {
		notes = append(notes, note)
	}
	if len(in.Relations.Clients) > 0 && served.cert == nil {
		notes = append(notes, "Container runtimes reach a registry over TLS only: integrate cert-provider, or set tls-cert-blob and tls-key-blob.")
	}
	return Status{Active, strings.Join(notes, " ")}
}
