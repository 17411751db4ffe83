package relation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/config"
)

func TestS3Request(t *testing.T) {
	want := Bag{"bucket": "images", "requested-secrets": `["access-key","secret-key"]`}
	if diff := cmp.Diff(want, S3Request("images")); diff != "" {
		t.Error(diff)
	}
}

func TestS3In(t *testing.T) {
	const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"
	for _, test := range []struct {
		name string
		in   Bag
		want S3
	}{
		{"nothing", Bag{"data": "{}"}, S3{}},
		{"version 0", Bag{
			"bucket": "b", "endpoint": "https://s3.example.com", "region": "r", "path": "/p", "s3-uri-style": "Path",
			"access-key": "AK", "secret-key": "SK", "s3-api-version": "4", "attributes": "[]",
		}, S3{
			Bucket: "b", Endpoint: "https://s3.example.com", Region: "r", Path: "/p", Style: "path",
			AccessKey: config.NewSecret("AK"), SecretKey: config.NewSecret("SK"), Signatures: "4",
		}},
		{"version 1", Bag{"bucket": "b", "secret-extra": "secret://93e0e3f5-7c2c-4d23-8bd4-2f4d3c8ea2a0/cr2b8ke5v7qc7ahm2pl0"},
			S3{Bucket: "b", Secret: "secret://93e0e3f5-7c2c-4d23-8bd4-2f4d3c8ea2a0/cr2b8ke5v7qc7ahm2pl0"}},
		{"a short URI", Bag{"secret-extra": "secret:cr2b8ke5v7qc7ahm2pl0"}, S3{Secret: "secret:cr2b8ke5v7qc7ahm2pl0"}},
		{"no URI", Bag{"secret-extra": "--label"}, S3{}},
		{"a list of PEM", Bag{"tls-ca-chain": `["` + "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----" + `"]`}, S3{CA: []byte(pem + "\n")}},
		{"a list of base64", Bag{"tls-ca-chain": `["LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQ==", ""]`}, S3{CA: []byte(pem + "\n")}},
		{"PEM", Bag{"tls-ca-chain": pem + "\n"}, S3{CA: []byte(pem + "\n")}},
		{"a JSON text", Bag{"tls-ca-chain": `"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQ=="`}, S3{CA: []byte(pem + "\n")}},
		{"none", Bag{"tls-ca-chain": "null"}, S3{}},
		{"an empty list", Bag{"tls-ca-chain": "[]"}, S3{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, S3In(test.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestS3WithASecret(t *testing.T) {
	told := S3In(Bag{"bucket": "b", "access-key": "of the bag"}).With(map[string]config.Secret{
		"access-key": config.NewSecret("AK"), "secret-key": config.NewSecret("SK"), "other": config.NewSecret("x"),
	})
	want := S3{Bucket: "b", AccessKey: config.NewSecret("AK"), SecretKey: config.NewSecret("SK")}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
