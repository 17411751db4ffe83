package oci

import (
	"encoding/json"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// nondistributable begins the media types of layers that need not be in a registry.
const nondistributable = "application/vnd.oci.image.layer.nondistributable."

// warn is the value of a Warning header for whoever pushes manifest, "" if there is nothing to warn of:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#warnings
func warn(manifest []byte) string {
	var image struct {
		Layers []v1.Descriptor `json:"layers"`
	}
	if json.Unmarshal(manifest, &image) != nil {
		return ""
	}
	for _, layer := range image.Layers {
		if strings.HasPrefix(layer.MediaType, nondistributable) {
			return `299 - "non-distributable layers are deprecated: this registry may not have all of the image"`
		}
	}
	return ""
}
