package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestSecretIsNeverShown(t *testing.T) {
	basic := Basic{User: "admin", Password: NewSecret("hunter2")}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", basic.Password, "basic", basic)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", basic.Password, "basic", basic)
	asJSON, err := json.Marshal(basic)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(basic)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"%v":   fmt.Sprintf("%v %v", basic, &basic),
		"%+v":  fmt.Sprintf("%+v", basic),
		"%#v":  fmt.Sprintf("%#v", basic),
		"%q":   fmt.Sprintf("%q", basic.Password),
		"%x":   fmt.Sprintf("%x", basic.Password),
		"slog": log.String(),
		"JSON": string(asJSON),
		"YAML": string(asYAML),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
			t.Errorf("%s shows the secret: %s", name, text)
		}
	}
	if basic.Password.Reveal() != "hunter2" || basic.Password.IsZero() || !basic.Password.Equal(NewSecret("hunter2")) {
		t.Error("the secret is lost")
	}
}

// fmt calls no methods of what stands in an unexported field.
func TestSecretIsNotShownByAnyVerb(t *testing.T) {
	hidden := struct{ password Secret }{NewSecret("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(strings.Repeat(verb, 4), hidden.password, hidden, &hidden, []any{hidden})
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
			t.Errorf("%s shows the secret: %s", verb, text)
		}
	}
}

func TestSecretEqual(t *testing.T) {
	tests := []struct {
		a, b Secret
		want bool
	}{
		{NewSecret("a"), NewSecret("a"), true},
		{NewSecret("a"), NewSecret("b"), false},
		{NewSecret("a"), Secret{}, false},
		{NewSecret(""), Secret{}, true},
	}
	for i, test := range tests {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("case %d: equal is %t", i, got)
		}
	}
	if empty := NewSecret(""); !empty.IsZero() || empty.Reveal() != "" {
		t.Error("an empty text is taken for a secret")
	}
}

func TestURLString(t *testing.T) {
	tests := []struct {
		in   URL
		want string
	}{
		{URL{}, ""},
		{URL{Scheme: "https", Netloc: "h:1", Path: "/a/"}, "https://h:1/a/"},
	}
	for _, test := range tests {
		if got := test.in.String(); got != test.want {
			t.Errorf("%#v is %q, want %q", test.in, got, test.want)
		}
	}
}
