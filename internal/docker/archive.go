package docker

import (
	"archive/tar"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// The sizes of tar's parts in bytes: its block, which is also its header, and the
// two empty blocks at its end.
const (
	tarBlock   = 512
	tarTrailer = 2 * tarBlock
)

// archiveImage writes an image that holds nothing but a registry's binary, in the
// form that `docker load` takes. The same binary gives the same image.
func archiveImage(w io.Writer, binary, tag string) error {
	file, err := os.Open(binary)
	if err != nil {
		return fmt.Errorf("cannot read registry binary: %w", err)
	}
	defer file.Close()
	architecture, err := architectureOf(file)
	if err != nil {
		return fmt.Errorf("cannot tell architecture of %s: %w", binary, err)
	}
	archive := tar.NewWriter(w)
	layer, err := writeLayer(archive, file)
	if err != nil {
		return err
	}
	config, err := json.Marshal(imageConfig(architecture, layer))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]map[string]any{
		{"Config": name, "RepoTags": []string{tag}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return err
	}
	for _, entry := range []struct {
		name    string
		content []byte
	}{{name, config}, {"manifest.json", manifest}} {
		if err := archive.WriteHeader(plainFile(entry.name, int64(len(entry.content)), 0o644)); err != nil {
			return err
		}
		if _, err := archive.Write(entry.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeLayer writes layer.tar with /registry as its only file, and returns its
// digest in hex.
func writeLayer(archive *tar.Writer, file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot read registry binary: %w", err)
	}
	size := info.Size()
	padded := (size + tarBlock - 1) / tarBlock * tarBlock
	if err := archive.WriteHeader(plainFile("layer.tar", tarBlock+padded+tarTrailer, 0o644)); err != nil {
		return "", err
	}
	digest := sha256.New()
	layer := tar.NewWriter(io.MultiWriter(archive, digest))
	if err := layer.WriteHeader(plainFile("registry", size, 0o755)); err != nil {
		return "", err
	}
	if _, err := io.Copy(layer, io.NewSectionReader(file, 0, size)); err != nil {
		return "", fmt.Errorf("cannot read registry binary: %w", err)
	}
	if err := layer.Close(); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

func plainFile(name string, size, mode int64) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: mode,
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
}

// imageConfig is the image's configuration after the OCI image specification.
func imageConfig(architecture, layer string) map[string]any {
	return map[string]any{
		"created":      "1970-01-01T00:00:00Z",
		"os":           "linux",
		"architecture": architecture,
		"config": map[string]any{
			"Entrypoint": []string{"/registry"},
			"WorkingDir": "/",
			"Labels": map[string]string{
				labelContract:                          "1",
				"org.opencontainers.image.title":       "docker-registry",
				"org.opencontainers.image.description": "OCI registry of the docker-registry charm",
				"org.opencontainers.image.licenses":    "Apache-2.0",
			},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
	}
}

// architectureOf is the architecture of a binary in Go's and OCI's words.
func architectureOf(file *os.File) (string, error) {
	binary, err := elf.NewFile(file)
	if err != nil {
		return "", err
	}
	switch binary.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	case elf.EM_S390:
		return "s390x", nil
	}
	return "", fmt.Errorf("unknown machine %s", binary.Machine)
}
