package desired

import (
	"strings"
	"testing"
)

func TestFailing(t *testing.T) {
	for _, test := range []struct {
		name    string
		reasons map[string]string
		want    string
	}{
		{"no bucket", map[string]string{"storagedriver_s3aws": "s3aws: NoSuchBucket: The specified bucket does not exist\n\tstatus code: 404"},
			`storage fails: s3aws: NoSuchBucket: The specified bucket does not exist status code: 404; make the bucket, or set option "storage-s3-bucket"`},
		{"no authority", map[string]string{"storagedriver_s3aws": "caused by: x509: certificate signed by unknown authority"},
			`storage fails: caused by: x509: certificate signed by unknown authority; set option "storage-ca-blob" to its authority`},
		{"no user", map[string]string{"storagedriver_swift": "swift: Swift answers 401: the user name, password, tenant or domain is wrong"},
			`storage fails: swift: Swift answers 401: the user name, password, tenant or domain is wrong; mend the options "storage-swift-username" and "storage-swift-password", the tenant or a domain`},
		{"down", map[string]string{"storagedriver_swift": "dial tcp 10.0.0.1:8080: connect: connection refused"},
			"storage fails: dial tcp 10.0.0.1:8080: connect: connection refused"},
		{"checks of registry-config", map[string]string{"/tmp/down": "file exists", "redis:6379": "connection refused"},
			`health check "/tmp/down" fails: file exists; health check "redis:6379" fails: connection refused`},
		{"long", map[string]string{"storagedriver_swift": strings.Repeat("ä", 300)}, "storage fails: " + strings.Repeat("ä", 150) + "..."},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Failing(test.reasons); got != (Status{Blocked, test.want}) {
				t.Errorf("got\n%s, want\n%s", got.Message, test.want)
			}
		})
	}
}
