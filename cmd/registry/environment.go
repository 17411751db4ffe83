package main

import (
	"fmt"
	"os"
	"strings"
)

// setEnvironment adds the NAME=value lines of a file to the environment: settings that
// whoever may look at the process or its container is not to see, such as a proxy
// with a password. It must come before anything reads the environment. Errors name
// lines by number, because a line may be secret.
func setEnvironment(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read environment: %w", err)
	}
	for i, line := range strings.Split(string(content), "\n") {
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || name == "" {
			return fmt.Errorf("cannot read environment %s: line %d is not of the form NAME=value", path, i+1)
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("cannot set environment of %s: line %d: invalid", path, i+1)
		}
	}
	return nil
}
