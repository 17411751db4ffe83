package registryconf

import "docker-registry-operator/internal/config"

// s3 are the parameters of the driver of that name.
// https://distribution.github.io/distribution/storage-drivers/s3/
type s3 struct {
	AccessKey                   string `yaml:"accesskey,omitempty"`
	SecretKey                   string `yaml:"secretkey,omitempty"`
	Region                      string `yaml:"region"`
	RegionEndpoint              string `yaml:"regionendpoint,omitempty"`
	Bucket                      string `yaml:"bucket"`
	RootDirectory               string `yaml:"rootdirectory,omitempty"`
	ForcePathStyle              bool   `yaml:"forcepathstyle"`
	Encrypt                     bool   `yaml:"encrypt"`
	KeyID                       string `yaml:"keyid,omitempty"`
	Secure                      bool   `yaml:"secure"`
	SkipVerify                  bool   `yaml:"skipverify"`
	V4Auth                      bool   `yaml:"v4auth"`
	ChunkSize                   int    `yaml:"chunksize"`
	MultipartCopyChunkSize      int    `yaml:"multipartcopychunksize"`
	MultipartCopyMaxConcurrency int    `yaml:"multipartcopymaxconcurrency"`
	MultipartCopyThresholdSize  int    `yaml:"multipartcopythresholdsize"`
	StorageClass                string `yaml:"storageclass"`
	ObjectACL                   string `yaml:"objectacl"`
	UserAgent                   string `yaml:"useragent,omitempty"`
	UseDualStack                bool   `yaml:"usedualstack"`
	Accelerate                  bool   `yaml:"accelerate"`
	LogLevel                    string `yaml:"loglevel"`
}

func newS3(backend config.S3) *s3 {
	return &s3{
		AccessKey:                   backend.AccessKey.Reveal(),
		SecretKey:                   backend.SecretKey.Reveal(),
		Region:                      backend.Region,
		RegionEndpoint:              backend.Endpoint,
		Bucket:                      backend.Bucket,
		RootDirectory:               backend.RootDirectory,
		ForcePathStyle:              backend.ForcePathStyle,
		Encrypt:                     backend.Encrypt,
		KeyID:                       backend.KeyID,
		Secure:                      backend.Secure,
		SkipVerify:                  backend.SkipVerify,
		V4Auth:                      backend.V4Auth,
		ChunkSize:                   backend.ChunkSize,
		MultipartCopyChunkSize:      backend.MultipartCopyChunkSize,
		MultipartCopyMaxConcurrency: backend.MultipartCopyMaxConcurrency,
		MultipartCopyThresholdSize:  backend.MultipartCopyThresholdSize,
		StorageClass:                backend.StorageClass,
		ObjectACL:                   backend.ObjectACL,
		UserAgent:                   backend.UserAgent,
		UseDualStack:                backend.UseDualStack,
		Accelerate:                  backend.Accelerate,
		LogLevel:                    backend.LogLevel,
	}
}
