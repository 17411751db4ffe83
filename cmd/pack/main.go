// Command pack makes build/docker-registry_<arch>.charm from the checkout that it
// is run in and from two programs that were built before.
package main

import (
	"flag"
	"fmt"
	"os"

	"docker-registry-operator/actions"
	"docker-registry-operator/hooks"
	"docker-registry-operator/internal/pack"
)

func main() {
	charm := pack.Charm{Root: ".", Hooks: hooks.Names(), Actions: actions.Names()}
	out := flag.String("out", "", "file to write")
	flag.StringVar(&charm.Arch, "arch", "", "architecture: amd64, arm64 or s390x")
	flag.StringVar(&charm.Dispatch, "charm", "", "the charm's program for that architecture")
	flag.StringVar(&charm.Registry, "registry", "", "the registry's program for that architecture")
	flag.StringVar(&charm.Version, "version", "unknown", "what the charm is made from")
	flag.Parse()
	if *out == "" || charm.Arch == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := charm.File(*out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("packed", *out)
}
