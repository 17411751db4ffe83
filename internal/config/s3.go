package config

import (
	"math"
	"regexp"
	"strings"
)

// Limits of an S3 multipart upload, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	minPart = 5 << 20
	maxPart = 5 << 30
)

// S3 keeps images in an S3 bucket. Sizes are in bytes.
type S3 struct {
	// AccessKey and SecretKey are both set, or both zero: then the registry asks the
	// machine for its role.
	AccessKey, SecretKey Secret
	// Endpoint is a URL, a host or host:port of a service other than Amazon's, or "".
	Region, Bucket, Endpoint string
	KeyID, RootDirectory     string
	UserAgent, StorageClass  string
	ObjectACL, LogLevel      string
	ForcePathStyle, Encrypt  bool
	Secure, SkipVerify       bool
	// V4Auth signs requests by version 4; otherwise by version 2.
	V4Auth                      bool
	UseDualStack, Accelerate    bool
	ChunkSize                   int
	MultipartCopyChunkSize      int
	MultipartCopyMaxConcurrency int
	MultipartCopyThresholdSize  int
}

func (S3) backend() {}

// amazon says that the service is Amazon's own.
func (s S3) amazon() bool {
	return s.Endpoint == "" || strings.Contains(s.Endpoint, "amazonaws.com")
}

// s3 is what the storage-s3-* options say, whether they ask for S3 or not.
func (r *reader) s3() S3 {
	return S3{
		AccessKey:                   r.secret("storage-s3-accesskey"),
		SecretKey:                   r.secret("storage-s3-secretkey"),
		Region:                      r.text("storage-s3-region"),
		Bucket:                      r.text("storage-s3-bucket"),
		Endpoint:                    r.text("storage-s3-regionendpoint"),
		KeyID:                       r.text("storage-s3-keyid"),
		RootDirectory:               r.text("storage-s3-rootdirectory"),
		UserAgent:                   r.text("storage-s3-useragent"),
		StorageClass:                r.choice("storage-s3-storageclass", storageClasses()...),
		ObjectACL:                   r.choice("storage-s3-objectacl", objectACLs()...),
		LogLevel:                    r.choice("storage-s3-loglevel", awsLogLevels()...),
		ForcePathStyle:              r.flag("storage-s3-forcepathstyle"),
		Encrypt:                     r.flag("storage-s3-encrypt"),
		Secure:                      r.flag("storage-s3-secure"),
		SkipVerify:                  r.flag("storage-s3-skip-verify"),
		V4Auth:                      r.flag("storage-s3-skip-v4-auth"),
		UseDualStack:                r.flag("storage-s3-usedualstack"),
		Accelerate:                  r.flag("storage-s3-accelerate"),
		ChunkSize:                   r.num("storage-s3-chunksize", minPart, maxPart),
		MultipartCopyChunkSize:      r.num("storage-s3-multipartcopychunksize", minPart, maxPart),
		MultipartCopyMaxConcurrency: r.num("storage-s3-multipartcopymaxconcurrency", 1, math.MaxInt32),
		MultipartCopyThresholdSize:  r.num("storage-s3-multipartcopythresholdsize", 0, maxPart),
	}
}

// complete adds what follows from the rest.
func (s3 *S3) complete() {
	// No name stands before an address.
	s3.ForcePathStyle = s3.ForcePathStyle || addressed(s3.Endpoint)
	if s3.Region == "" {
		// Signatures need a region; services other than Amazon's take this one.
		s3.Region = "us-east-1"
	}
}

// completeS3 says that S3 is asked for: by a bucket or anything that only makes sense
// with one. It then checks and completes it.
func (r *reader) completeS3(s3 *S3) bool {
	if !r.wantsS3(*s3) {
		return false
	}
	r.checkS3(*s3)
	// As distribution 2 did at every endpoint: a host for each bucket is there only where
	// somebody has arranged for it.
	s3.ForcePathStyle = s3.ForcePathStyle || !s3.amazon()
	s3.complete()
	return true
}

// wantsS3 says that S3 is asked for, and complains if only half of what it takes is
// there.
func (r *reader) wantsS3(s3 S3) bool {
	if s3.Bucket != "" {
		if s3.Region == "" && s3.Endpoint == "" {
			r.complain("storage-s3-region", `must be set together with "storage-s3-bucket", unless "storage-s3-regionendpoint" is set`)
		}
		return true
	}
	for _, s := range []setting{
		{"storage-s3-region", s3.Region != ""},
		{"storage-s3-regionendpoint", s3.Endpoint != ""},
		{"storage-s3-accesskey", !s3.AccessKey.IsZero()},
		{"storage-s3-secretkey", !s3.SecretKey.IsZero()},
	} {
		if s.set {
			r.complain("storage-s3-bucket", "must be set together with %q", s.option)
			return true
		}
	}
	return false
}

func (r *reader) checkS3(s3 S3) {
	if !word().MatchString(s3.Bucket) && s3.Bucket != "" {
		r.complain("storage-s3-bucket", "must be a bucket's name: letters, digits, dots, hyphens and underscores")
	}
	if !word().MatchString(s3.Region) && s3.Region != "" {
		r.complain("storage-s3-region", `must be a region's name such as "eu-central-1"`)
	}
	if s3.Endpoint != "" {
		if fault := endpointFault(s3.Endpoint); fault != "" {
			r.complain("storage-s3-regionendpoint", "%s", fault)
		}
	}
	if s3.AccessKey.IsZero() && !s3.SecretKey.IsZero() {
		r.complainOnce("storage-s3-accesskey", `must be set together with "storage-s3-secretkey"`)
	}
	if s3.SecretKey.IsZero() && !s3.AccessKey.IsZero() {
		r.complainOnce("storage-s3-secretkey", `must be set together with "storage-s3-accesskey"`)
	}
	if s3.KeyID != "" && !s3.Encrypt {
		r.complain("storage-s3-keyid", `must be empty unless "storage-s3-encrypt" is true`)
	}
	if !s3.V4Auth && s3.amazon() {
		r.complain("storage-s3-skip-v4-auth", "must be true for Amazon S3, which takes no other signatures")
	}
	switch {
	case s3.Accelerate && !s3.amazon():
		r.complain("storage-s3-accelerate", `must be false with "storage-s3-regionendpoint": only Amazon S3 has it, and would be asked instead`)
	case s3.Accelerate && s3.ForcePathStyle:
		r.complain("storage-s3-accelerate", `must be false with "storage-s3-forcepathstyle": it needs the bucket in the host name`)
	}
}

// addressed says that an endpoint is an IP address rather than a name.
func addressed(endpoint string) bool {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	parsed, fault := parseURL(endpoint)
	return fault == "" && ipAddress().MatchString(parsed.Hostname())
}

func ipAddress() *regexp.Regexp { return regexp.MustCompile(`^([0-9]+(\.[0-9]+){3}|.*:.*)$`) }

// endpointFault demands a URL, or a host with or without a port.
func endpointFault(endpoint string) string {
	if !strings.Contains(endpoint, "://") {
		// The S3 client adds the scheme that storage-s3-secure asks for.
		endpoint = "https://" + endpoint
	}
	parsed, fault := parseURL(endpoint)
	switch {
	case fault != "":
		return `must be a URL such as "https://s3.example.com:9000"`
	case parsed.User != nil:
		return `must not hold credentials: set "storage-s3-accesskey" and "storage-s3-secretkey"`
	}
	return ""
}

func word() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) }

// storageClasses are those that can be read at once.
func storageClasses() []string {
	return []string{
		"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA",
		"INTELLIGENT_TIERING", "OUTPOSTS", "GLACIER_IR", "EXPRESS_ONEZONE", "NONE",
	}
}

func objectACLs() []string {
	return []string{
		"private", "public-read", "public-read-write", "authenticated-read",
		"aws-exec-read", "bucket-owner-read", "bucket-owner-full-control",
	}
}

func awsLogLevels() []string {
	return []string{
		"off", "debug", "debugwithsigning", "debugwithhttpbody", "debugwithrequestretries",
		"debugwithrequesterrors", "debugwitheventstreambody",
	}
}
