package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const declaredActions = `
push:
  description: Push.
  params:
    image: {type: string}
    pull: {type: boolean, default: true}
    count: {type: integer, default: 3, maximum: 10}
    ratio: {type: number}
  required: [image]
  additionalProperties: false
images: {}
`

func TestParams(t *testing.T) {
	for _, test := range []struct {
		name, action string
		args         []string
		want         map[string]any
		wantErr      string
	}{
		{"defaults", "push", []string{"image=1.10"}, map[string]any{"image": "1.10", "pull": true, "count": int64(3)}, ""},
		{"all", "push", []string{"image=a=b", "pull=false", "count=7", "ratio=2"},
			map[string]any{"image": "a=b", "pull": false, "count": int64(7), "ratio": 2.0}, ""},
		{"none", "images", nil, map[string]any{}, ""},
		{"no action", "pusch", nil, nil, `cannot run action "pusch": there is none of that name, only images, push`},
		{"missing", "push", nil, nil, `cannot run action "push": parameter "image" is missing: add image=VALUE`},
		{"unknown", "push", []string{"img=x"}, nil, `cannot run action "push": there is no parameter "img", only count, image, pull, ratio`},
		{"unknown of none", "images", []string{"a=b"}, nil, `cannot run action "images": there is no parameter "a", only none`},
		{"no pair", "push", []string{"image"}, nil, `cannot run action "push": "image" is not of the form key=value`},
		{"no boolean", "push", []string{"image=x", "pull=maybe"}, nil, `cannot run action "push": parameter "pull": "maybe" is not of type boolean`},
		{"no integer", "push", []string{"image=x", "count=1.5"}, nil, `cannot run action "push": parameter "count": "1.5" is not of type integer`},
		{"too many", "push", []string{"image=x", "count=11"}, nil,
			`cannot run action "push": validation failed: (root).count : must be lower than 10, given "11"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := NewAction(declaredActions, test.action, test.args, nil)
			if err != nil || test.wantErr != "" {
				if err == nil || err.Error() != test.wantErr {
					t.Errorf("got  %v\nwant %s", err, test.wantErr)
				}
				return
			}
			got, err := a.Params(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResults(t *testing.T) {
	var progress, printed strings.Builder
	a, err := NewAction(declaredActions, "images", nil, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Print(&printed); err != nil || printed.Len() > 0 {
		t.Errorf("no results print %q, %v", &printed, err)
	}
	for _, err := range []error{
		a.Log(t.Context(), "pulling"),
		a.Set(t.Context(), map[string]string{"raw": "pushed x", "size.bytes": "10", "size": "gone"}),
		a.Set(t.Context(), map[string]string{"output": "a\nb\n", "size.layers": "2"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := a.Print(&printed); err != nil {
		t.Fatal(err)
	}
	want := "output: |\n  a\n  b\nraw: pushed x\nsize:\n  bytes: \"10\"\n  layers: \"2\"\n"
	if diff := cmp.Diff(want, printed.String()); diff != "" {
		t.Error(diff)
	}
	if progress.String() != "pulling\n" || a.Failure() != "" {
		t.Errorf("progress %q, failure %q", &progress, a.Failure())
	}
	if err := a.Fail(t.Context(), ""); err != nil || a.Failure() == "" {
		t.Errorf("failed with %q, %v", a.Failure(), err)
	}
}
