package relation

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	"docker-registry-operator/internal/config"
)

// Keys of interface s3 that both sides know, and of its secret.
const (
	bucketKey    = "bucket"
	accessKeyKey = "access-key"
	secretKeyKey = "secret-key"
)

// S3Request asks a provider of s3 for a bucket, which one without a choice of its own
// makes, and for keys in a secret rather than in its databag. Providers of version 0
// take no notice of the latter.
func S3Request(bucket string) Bag {
	return Bag{
		bucketKey:           bucket,
		"requested-secrets": `["` + accessKeyKey + `","` + secretKeyKey + `"]`,
	}
}

// S3 is what a provider of s3 tells, none of it checked.
type S3 struct {
	Bucket, Endpoint, Region string
	// Path is where in the bucket.
	Path                 string
	AccessKey, SecretKey config.Secret
	// Secret is the URI of the secret that holds the keys, in version 1; "" in version 0.
	Secret string
	// Style is where URLs have the bucket, "path" or "host"; "" if it is not told.
	Style string
	// Signatures is their version, "2" or "4"; "" if it is not told.
	Signatures string
	// CA are the authorities of the endpoint (PEM), nil if none are told.
	CA []byte
}

// S3In reads the databag of a provider's application.
func S3In(app Bag) S3 {
	text := func(key string) string { return strings.TrimSpace(app[key]) }
	told := S3{
		Bucket:     text(bucketKey),
		Endpoint:   text("endpoint"),
		Region:     text("region"),
		Path:       text("path"),
		AccessKey:  config.NewSecret(text(accessKeyKey)),
		SecretKey:  config.NewSecret(text(secretKeyKey)),
		Style:      strings.ToLower(text("s3-uri-style")),
		Signatures: text("s3-api-version"),
		CA:         authorities(app["tls-ca-chain"]),
	}
	if uri := text("secret-extra"); secretURI().MatchString(uri) {
		told.Secret = uri
	}
	return told
}

// With takes the keys from the content of its secret.
func (s S3) With(content map[string]config.Secret) S3 {
	if key, found := content[accessKeyKey]; found {
		s.AccessKey = key
	}
	if key, found := content[secretKeyKey]; found {
		s.SecretKey = key
	}
	return s
}

// secretURI matches what Juju calls a secret, which is an argument of a hook tool.
func secretURI() *regexp.Regexp {
	return regexp.MustCompile(`^secret:(//[0-9a-zA-Z-]+/)?[0-9a-zA-Z-]+$`)
}

// authorities are PEM texts: a JSON list of them, as they are or in base64, or one.
func authorities(value string) []byte {
	var items []string
	if json.Unmarshal([]byte(value), &items) != nil {
		items = []string{unquote(value)}
	}
	var all strings.Builder
	for _, item := range items {
		item = strings.TrimSpace(item)
		if decoded, err := base64.StdEncoding.DecodeString(item); err == nil {
			item = strings.TrimSpace(string(decoded))
		}
		if item != "" {
			all.WriteString(item + "\n")
		}
	}
	if all.Len() == 0 {
		return nil
	}
	return []byte(all.String())
}
