package config

// Bucket is where images are kept in S3, as a relation tells it.
type Bucket struct {
	Name, Endpoint, Region string
	// Path is where in the bucket.
	Path                 string
	AccessKey, SecretKey Secret
	// ByHost and ByPath say where URLs have the bucket; without either, the endpoint
	// decides.
	ByHost, ByPath bool
	// OldSignatures asks for those of version 2.
	OldSignatures bool
}

// Use has s3 use a bucket in all that the bucket says, and leaves the rest as it is.
func (s3 *S3) Use(bucket Bucket) {
	s3.Bucket, s3.Endpoint, s3.Region = bucket.Name, bucket.Endpoint, bucket.Region
	s3.AccessKey, s3.SecretKey = bucket.AccessKey, bucket.SecretKey
	if bucket.Path != "" {
		s3.RootDirectory = bucket.Path
	}
	if bucket.OldSignatures {
		s3.V4Auth = false
	}
	// Services other than Amazon's know no hosts for buckets unless somebody has arranged
	// for it, and then tells so. Signatures of version 2 leave out a bucket in the host name.
	s3.ForcePathStyle = bucket.ByPath || bucket.OldSignatures || !bucket.ByHost && (s3.ForcePathStyle || !s3.amazon())
	s3.Accelerate = s3.Accelerate && s3.amazon() && !s3.ForcePathStyle
	s3.complete()
}

// Fault is what is wrong with where s3 is, "" if nothing is.
func (s3 S3) Fault() string {
	switch {
	case !word().MatchString(s3.Bucket):
		return "its bucket is not a bucket's name"
	case !word().MatchString(s3.Region):
		return "its region is not a region's name"
	case s3.Endpoint != "" && endpointFault(s3.Endpoint) != "":
		return "its endpoint is no URL such as https://s3.example.com:9000"
	case !s3.V4Auth && s3.amazon():
		return "Amazon S3 takes no signatures of version 2"
	}
	return ""
}
