package config

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// FuzzParse gives one text to one text option, and demands a configuration or a
// complaint that does not repeat the secret within the text.
func FuzzParse(f *testing.F) {
	base := defaults(f)
	var names []string
	for name, d := range declarations(f) {
		if d.Type == textKind {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	seeds := []string{
		"", "null", "- deb http://a b\n- null", "{a: &x [*x], 5: 6}", `{"log-driver": 1}`, "https://u:p@h:1/x?y#z",
		"--a 'b c' \\", "h:5000", "[::1]:80", "LS0tLS1CRUdJTg==", "a: !!binary eA==", "a: 2001-01-01", "<<: {a: b}",
	}
	for i := range names {
		for _, seed := range seeds {
			f.Add(i, seed)
		}
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		options := Options{}
		for name, value := range base {
			options[name] = value
		}
		name := names[((i%len(names))+len(names))%len(names)]
		options[name] = text
		_, err := Parse(options)
		var problems Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("error is a %T", err)
		}
		for _, problem := range problems {
			if _, declared := base[problem.Option]; !declared && !slices.Contains(names, problem.Option) {
				t.Errorf("complaint of option %q, which does not exist", problem.Option)
			}
		}
	})
}

// FuzzOverlay demands that an overlay has no mapping but those with texts as keys:
// what checks it for managed keys sees no others.
func FuzzOverlay(f *testing.F) {
	for _, seed := range []string{
		"http: {headers: {X: [y]}}", "a: {1: {http: {addr: x}}}", "? [a]\n: b", "<<: {http: 1}", "a: &a {b: *a}", "- a",
		"a: !!timestamp 2001-01-01", "a: !!set {b}", "a: !!omap [b: c]", "yes: no",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := newReader(Options{"registry-config": text})
		plain(t, r.overlay())
		if len(r.problems) > 1 {
			t.Errorf("more than one complaint: %v", r.problems)
		}
	})
}

func plain(t *testing.T, value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, item := range value {
			plain(t, item)
		}
	case []any:
		for _, item := range value {
			plain(t, item)
		}
	case nil, string, bool, int, int64, uint64, float64, time.Time:
	default:
		t.Errorf("overlay holds a %T", value)
	}
}
