package referrer

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// lightLimit bounds in bytes the annotations of a manifest that is remembered.
const lightLimit = 2 << 10

// A statement is what a manifest says that refers to another.
type statement struct {
	subject    digest.Digest
	descriptor v1.Descriptor
}

// light says that the statement takes little memory.
func (s *statement) light() bool {
	size := 0
	for key, value := range s.descriptor.Annotations {
		size += len(key) + len(value)
	}
	return size <= lightLimit
}

// Parse is the descriptor of a manifest as a list of referrers has it, and its subject, which is "" if it
// has none or content is no manifest.
func Parse(content []byte) (subject digest.Digest, descriptor v1.Descriptor) {
	said := parse(digest.FromBytes(content), content)
	if said == nil {
		return "", v1.Descriptor{}
	}
	return said.subject, said.descriptor
}

// parse follows what the specification has a registry put into a list of referrers:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func parse(revision digest.Digest, content []byte) *statement {
	var manifest struct {
		MediaType    string            `json:"mediaType"`
		ArtifactType string            `json:"artifactType"`
		Config       *v1.Descriptor    `json:"config"`
		Subject      *v1.Descriptor    `json:"subject"`
		Annotations  map[string]string `json:"annotations"`
	}
	if json.Unmarshal(content, &manifest) != nil || manifest.Subject == nil || manifest.Subject.Digest.Validate() != nil {
		return nil
	}
	if manifest.MediaType == "" {
		manifest.MediaType = v1.MediaTypeImageIndex
		if manifest.Config != nil {
			manifest.MediaType = v1.MediaTypeImageManifest
		}
	}
	if manifest.ArtifactType == "" && manifest.Config != nil {
		manifest.ArtifactType = manifest.Config.MediaType
	}
	return &statement{
		subject: manifest.Subject.Digest,
		descriptor: v1.Descriptor{
			MediaType:    manifest.MediaType,
			ArtifactType: manifest.ArtifactType,
			Digest:       revision,
			Size:         int64(len(content)),
			Annotations:  manifest.Annotations,
		},
	}
}
