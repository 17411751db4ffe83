package config

// Storage says where images are kept and what clients may do with them.
type Storage struct {
	Backend Backend
	// Related is how a bucket that a relation names is to be used, but for what the
	// relation tells; nil if the options choose the backend.
	Related *S3
	// MemoryCache keeps blob descriptors in the registry's memory, which only fits a
	// storage that nobody else changes; Redis keeps them there instead, nil if not.
	MemoryCache bool
	Redis       *Redis
	Delete      bool
	ReadOnly    bool
	// CA are authorities (PEM) that the registry trusts, beside the machine's own, for its
	// storage and whatever else it connects to; nil for none.
	CA []byte
	// Redirect sends clients to the backend for blobs where it can.
	Redirect bool
}

// Backend is one of [Filesystem], [S3] and [Swift].
type Backend interface {
	backend()
}

// Filesystem keeps images in the unit's data directory.
type Filesystem struct{}

func (Filesystem) backend() {}

func (r *reader) storage() Storage {
	swift, s3 := r.swift(), r.s3()
	wantsS3 := r.completeS3(&s3)
	cache := r.choice("storage-cache", "inmemory", "redis", "disabled")
	storage := Storage{
		Backend:     Filesystem{},
		MemoryCache: cache == "inmemory",
		Redis:       r.redis(cache == "redis"),
		Delete:      r.flag("storage-delete"),
		ReadOnly:    r.flag("storage-read-only"),
		CA:          r.authorities("storage-ca-blob"),
		Redirect:    !r.flag("storage-redirect-disable"),
	}
	// Swift comes first if both are asked for.
	switch {
	case swift != nil:
		storage.Backend = *swift
	case wantsS3:
		storage.Backend = s3
	default:
		storage.Related = &s3
	}
	return storage
}

// authorities is an option that holds certificates in base64, nil if it is empty.
func (r *reader) authorities(name string) []byte {
	blob := r.blob(name)
	if blob == nil {
		return nil
	}
	bundle, err := parseBundle(blob)
	if err != nil {
		r.complain(name, "%v", err)
	}
	return bundle
}
