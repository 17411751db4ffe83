package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/registryconf"
)

// Names of files in the registry's configuration directory.
const (
	configName      = "config.yml"
	environmentName = "environment"
)

// Modes of owned files: secrets are for their owner alone.
const (
	public = 0o644
	secret = 0o600
)

// blobFiles puts what the tls-*-blob options hold where the tls-*-path options say.
func blobFiles(in Input) []File {
	tls := in.Config.TLS
	if tls.Blobs == nil {
		return nil
	}
	layout := in.Facts.Layout
	files := []File{
		{Path: layout.On(tls.CertPath), Content: tls.Blobs.Chain, Mode: public},
		{Path: layout.On(tls.KeyPath), Content: []byte(tls.Blobs.Key.Reveal()), Mode: secret},
	}
	if tls.Blobs.CA != nil {
		files = append(files, File{Path: layout.On(tls.CAPath), Content: tls.Blobs.CA, Mode: public})
	}
	return files
}

// registryFiles are what the registry reads; config.yml is among them. The certificate
// is a copy in the registry's own directory, because the registry's user may
// neither reach nor read the operator's files.
func registryFiles(in Input, cert *config.Certificate) ([]File, error) {
	layout, conf := in.Facts.Layout, in.Config
	input := registryconf.Input{
		Config: conf,
		Secret: in.Facts.Secret,
		Data:   in.Facts.Data(),
		Realm:  realm(in.Facts.Unit),
		Stock:  in.Facts.Image.Major,
	}
	var files []File
	add := func(name string, content []byte, mode uint32) string {
		file := File{Path: path.Join(layout.Config(), name), Content: content, Mode: mode, Registry: true}
		files = append(files, file)
		return file.Path
	}
	if cert != nil {
		input.TLS = &registryconf.TLS{
			Certificate: add("tls/registry.pem", cert.Chain, public),
			Key:         add("tls/registry-key.pem", []byte(cert.Key.Reveal()), secret),
		}
		if conf.TLS.Clients != nil {
			input.TLS.ClientCAs = add("tls/client-ca.pem", conf.TLS.Clients.CA, public)
		}
	}
	if conf.Auth.Passwords() {
		input.Htpasswd = add("htpasswd", in.Facts.Htpasswd, secret)
	}
	if conf.Auth.Policy != nil {
		input.Policy = add("policy", rules(*conf.Auth.Policy), secret)
	}
	if conf.Auth.Token != nil {
		input.RootCerts = add("token/roots.pem", conf.Auth.Token.RootCerts, public)
	}
	if env := environment(conf.Container); len(env) > 0 && !in.Facts.Image.Stock {
		add(environmentName, []byte(strings.Join(env, "\n")+"\n"), secret)
	}
	input.Authorities = machineAuthorities
	if name := authoritiesName(conf.Storage); name != "" {
		input.Authorities = add(name, conf.Storage.CA, public)
	}
	input.Digest = digestAll(files)
	rendered, err := registryconf.Render(input)
	if err != nil {
		return nil, err
	}
	add(configName, rendered, secret)
	return files, nil
}

// rules are the operator's, and the one by which the charm's own actions push.
func rules(policy config.Policy) []byte {
	return fmt.Appendf(nil, "%s\n# For actions of the charm.\n%s ** push\n", strings.TrimRight(policy.Text, "\n"), config.Charm)
}

// authoritiesName is the file of the authorities that the registry trusts, "" for none.
// Its content is in its name, because a process reads them once: with others there has
// to be another process.
func authoritiesName(storage config.Storage) string {
	if storage.CA == nil {
		return ""
	}
	sum := sha256.Sum256(storage.CA)
	return fmt.Sprintf("storage/ca-%x.pem", sum[:8])
}

// realm is what a client shows where it asks for a password: the application's name.
func realm(unit string) string {
	application, _, _ := strings.Cut(unit, "/")
	return application
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// digestOf is the digest of the file of that name among files, "" if there is none.
func digestOf(files []File, name string) string {
	content := contentOf(files, name)
	if content == nil {
		return ""
	}
	return digest(content)
}

// contentOf is the content of the file of that name among files, nil if there is none.
func contentOf(files []File, name string) []byte {
	for _, file := range files {
		if path.Base(file.Path) == name {
			return file.Content
		}
	}
	return nil
}

// digestAll is a digest of the files' paths and contents.
func digestAll(files []File) string {
	hash := sha256.New()
	for _, file := range files {
		io.WriteString(hash, file.Path+" "+digest(file.Content)+"\n")
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}
