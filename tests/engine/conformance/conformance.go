// Package conformance runs the conformance suite of the OCI distribution specification against a registry.
// It is a program of the specification's own repository; what a registry has to pass is the caller's.
package conformance

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"docker-registry-operator/tests/engine/program"
)

// What is built, and of which version: another has other checks.
const suite, version = "github.com/opencontainers/distribution-spec/conformance", "v0.0.0-20260831232431-97274622c111"

// Options are a registry over HTTP and what of it is checked.
type Options struct {
	Address string
	// Username and Password are empty if the registry asks for none.
	Username, Password string
	// Settings are variables of the suite, such as OCI_DATA_SPARSE=false:
	// https://github.com/opencontainers/distribution-spec/blob/97274622c111/conformance/README.md
	Settings []string
	// Dir is an empty directory for the suite's reports.
	Dir string
}

// Results are the outcome of the checks.
type Results struct {
	// Checks is how many there were, and Failed, Errors and Skipped how many of them did not pass. The
	// suite counts a group of checks as one more.
	Checks  int `xml:"tests,attr"`
	Failed  int `xml:"failures,attr"`
	Errors  int `xml:"errors,attr"`
	Skipped int `xml:"skipped,attr"`
	// Cases are the checks by name.
	Cases []Case `xml:"testsuite>testcase"`
}

// Case is a check.
type Case struct {
	Name   string `xml:"name,attr"`
	Status string `xml:"status,attr"`
	// Reason is why it did not pass.
	Reason string `xml:"system-out"`
}

// Run builds the suite if need be, which takes seconds, and runs it.
func Run(ctx context.Context, options Options) (Results, error) {
	built, err := program.Install(ctx, suite, version)
	if err != nil {
		return Results{}, err
	}
	run := exec.CommandContext(ctx, built)
	run.Dir = options.Dir
	run.Env = append(os.Environ(), "OCI_TLS=disabled", "OCI_REGISTRY="+options.Address, "OCI_RESULTS_DIR="+options.Dir,
		"OCI_USERNAME="+options.Username, "OCI_PASSWORD="+options.Password, "OCI_LOG=error")
	run.Env = append(run.Env, options.Settings...)
	out, err := run.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) { // it also exits with 1 if a check fails
		return Results{}, fmt.Errorf("cannot run conformance suite: %w", err)
	}
	report, err := os.ReadFile(filepath.Join(options.Dir, "junit.xml"))
	if err != nil {
		return Results{}, fmt.Errorf("cannot read report of conformance suite: %w\n%s", err, out)
	}
	var results Results
	if err := xml.Unmarshal(report, &results); err != nil {
		return Results{}, fmt.Errorf("cannot read report of conformance suite: %w", err)
	}
	return results, nil
}
