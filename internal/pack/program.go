package pack

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"slices"
)

// machines are the architectures that the charm is packed for.
func machines() map[string]elf.Machine {
	return map[string]elf.Machine{
		"amd64": elf.EM_X86_64,
		"arm64": elf.EM_AARCH64,
		"s390x": elf.EM_S390,
	}
}

// program reads a program, which must be a static one for arch: the charm brings no
// libraries, and the registry's image holds nothing but its program.
func program(name, arch string) ([]byte, error) {
	machine, known := machines()[arch]
	if !known {
		return nil, fmt.Errorf("architecture %q is none of amd64, arm64, s390x", arch)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s is not a program: %w", name, err)
	}
	if file.Machine != machine {
		return nil, fmt.Errorf("%s is a program for %s, not for %s", name, file.Machine, arch)
	}
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return nil, fmt.Errorf("%s needs shared libraries; build it with CGO_ENABLED=0", name)
	}
	return content, nil
}
