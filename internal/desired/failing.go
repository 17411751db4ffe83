package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Failing is the status of a unit whose registry runs, but answers nobody because its
// own checks fail: reasons by the checks' names.
func Failing(reasons map[string]string) Status {
	var texts []string
	for _, check := range slices.Sorted(maps.Keys(reasons)) {
		what := fmt.Sprintf("health check %q", check)
		if strings.HasPrefix(check, "storagedriver_") {
			what = "storage"
		}
		text := what + " fails: " + brief(reasons[check])
		if advice := adviceOn(reasons[check]); advice != "" {
			text += "; " + advice
		}
		texts = append(texts, text)
	}
	return Status{Blocked, strings.Join(texts, "; ")}
}

// brief is a reason on one line of bounded length.
func brief(reason string) string {
	const most = 300
	words := strings.ToValidUTF8(strings.Join(strings.Fields(reason), " "), "")
	if len(words) <= most {
		return words
	}
	return strings.ToValidUTF8(words[:most], "") + "..."
}

// adviceOn is what helps against a reason, by the codes of S3 and the words of Go.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func adviceOn(reason string) string {
	const (
		keys   = `mend the keys: the options "storage-s3-accesskey" and "storage-s3-secretkey", or what s3-credentials tells`
		rights = `give the user of the storage the rights to list, read, write and delete`
	)
	for _, known := range []struct{ part, advice string }{
		{"NoSuchBucket", `make the bucket, or set option "storage-s3-bucket"`},
		{"InvalidAccessKeyId", keys},
		{"SignatureDoesNotMatch", keys},
		{"NoCredentialProviders", keys},
		{"RequestTimeTooSkewed", "set the machine's clock right"},
		{"Swift answers 401", `mend the options "storage-swift-username" and "storage-swift-password", the tenant or a domain`},
		{"Swift answers 403", rights},
		{"AccessDenied", rights},
		{"Forbidden", rights},
		{"x509: certificate signed by unknown authority", `set option "storage-ca-blob" to its authority`},
		{"no such host", "mend the name in the options"},
	} {
		if strings.Contains(reason, known.part) {
			return known.advice
		}
	}
	return ""
}
