package config

// Storage says where images are kept and what clients may do with them.
type Storage struct {
	Backend Backend
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
	cache := r.choice("storage-cache", "inmemory", "redis", "disabled")
	return Storage{
		Backend:     r.backend(),
		MemoryCache: cache == "inmemory",
		Redis:       r.redis(cache == "redis"),
		Delete:      r.flag("storage-delete"),
		ReadOnly:    r.flag("storage-read-only"),
		CA:          r.authorities("storage-ca-blob"),
		Redirect:    !r.flag("storage-redirect-disable"),
	}
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

// backend is Swift if it is asked for, else S3 if it is, else the filesystem.
func (r *reader) backend() Backend {
	swift, s3 := r.swift(), r.s3()
	switch {
	case swift != nil:
		return *swift
	case s3 != nil:
		return *s3
	}
	return Filesystem{}
}
