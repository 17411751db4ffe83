package project

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/juju/charm/v12"

	declared "docker-registry-operator"
	"docker-registry-operator/actions"
	"docker-registry-operator/hooks"
)

func metadata(t *testing.T) *charm.Meta {
	t.Helper()
	meta, err := charm.ReadMeta(strings.NewReader(declared.Metadata()))
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

func declaredActions(t *testing.T) map[string]charm.ActionSpec {
	t.Helper()
	found, err := charm.ReadActionsYaml(metadata(t).Name, strings.NewReader(declared.Actions()))
	if err != nil {
		t.Fatal(err)
	}
	return found.ActionSpecs
}

func declaredOptions(t *testing.T) map[string]charm.Option {
	t.Helper()
	found, err := charm.ReadConfig(strings.NewReader(declared.Config()))
	if err != nil {
		t.Fatal(err)
	}
	return found.Options
}

func TestActions(t *testing.T) {
	specs := declaredActions(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(specs)), actions.Names()); diff != "" {
		t.Errorf("actions.yaml and package actions differ:\n%s", diff)
	}
	for name, spec := range specs {
		if spec.Description == "No description" {
			t.Errorf("action %s has no description", name)
		}
		if spec.Params["additionalProperties"] != false {
			t.Errorf("action %s takes parameters that it does not declare", name)
		}
		for param, property := range spec.Params["properties"].(map[string]any) {
			if property.(map[string]any)["description"] == nil {
				t.Errorf("parameter %s of action %s has no description", param, name)
			}
		}
	}
}

// TestEndpoints also holds those endpoints whose loss would refuse a refresh of
// units in the field.
func TestEndpoints(t *testing.T) {
	meta := metadata(t)
	var got []string
	kept := map[string]string{
		"cert-provider": "tls-certificates", "docker-registry": "docker-registry", "dockerhost": "dockerhost",
		"nrpe-external-master": "nrpe-external-master", "peer": "peer-discovery", "sdn-plugin": "sdn-plugin",
		"website": "http",
	}
	for _, endpoint := range meta.CombinedRelations() {
		got = append(got, endpoint.Name)
		if want, must := kept[endpoint.Name]; must && endpoint.Interface != want {
			t.Errorf("endpoint %s has interface %s, want %s", endpoint.Name, endpoint.Interface, want)
		}
		delete(kept, endpoint.Name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(got, slices.Sorted(slices.Values(hooks.Endpoints()))); diff != "" {
		t.Errorf("metadata.yaml and package hooks differ:\n%s", diff)
	}
	for name := range kept {
		t.Errorf("endpoint %s is not declared; units that have it could not be refreshed", name)
	}
}

func TestOptionsHaveDescriptions(t *testing.T) {
	for name, option := range declaredOptions(t) {
		if strings.TrimSpace(option.Description) == "" {
			t.Errorf("option %s has no description", name)
		}
	}
}

// pages are the contents of every page of documentation, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range append(names, "../../README.md") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(content)
	}
	return found
}

// TestConfigurationPage holds that the page names every option that has an effect.
func TestConfigurationPage(t *testing.T) {
	page := pages(t)["../../docs/configuration.md"]
	for name, option := range declaredOptions(t) {
		if !strings.HasPrefix(option.Description, "Without effect") && !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/configuration.md does not name option %s", name)
		}
	}
}

// TestCommands holds that the commands of all pages name options and actions that
// are there.
func TestCommands(t *testing.T) {
	options, specs := declaredOptions(t), declaredActions(t)
	config := regexp.MustCompile(`juju config docker-registry ([a-z0-9_-]+)`)
	run := regexp.MustCompile(`juju run docker-registry/[a-z0-9]+ ([a-z0-9-]+)`)
	for name, content := range pages(t) {
		for _, command := range config.FindAllStringSubmatch(content, -1) {
			if option := command[1]; !strings.HasPrefix(option, "-") && options[option].Type == "" {
				t.Errorf("%s sets option %s, which is not declared", name, option)
			}
		}
		for _, command := range run.FindAllStringSubmatch(content, -1) {
			if _, known := specs[command[1]]; !known {
				t.Errorf("%s runs action %s, which is not declared", name, command[1])
			}
		}
	}
}

// TestLinks holds that pages link only to pages that are there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for name, content := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(content, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), found[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, found[1])
			}
		}
	}
}

// TestStorage also holds that storage is never needed: Juju refuses a refresh that adds
// storage which a unit must have.
func TestStorage(t *testing.T) {
	stores := metadata(t).Storage
	if diff := cmp.Diff(slices.Sorted(maps.Keys(stores)), hooks.Storages()); diff != "" {
		t.Errorf("metadata.yaml and package hooks differ:\n%s", diff)
	}
	for name, storage := range stores {
		if storage.CountMin != 0 || storage.CountMax != 1 || storage.Type != charm.StorageFilesystem {
			t.Errorf("storage %s: %+v", name, storage)
		}
	}
}
