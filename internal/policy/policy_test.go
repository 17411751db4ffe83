package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"docker-registry-operator/internal/policy"
)

const example = `
# who       repositories   what
anonymous   *              pull
*           **             list
ci          team-a/**      pull,push   # builds
ci          team-*/cache   push
janitor     **             delete
`

func parse(t *testing.T, text string) policy.Policy {
	t.Helper()
	parsed, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAllows(t *testing.T) {
	parsed := parse(t, example)
	for _, test := range []struct {
		user, repository string
		action           policy.Action
		want             bool
	}{
		{"", "app", policy.Pull, true},
		{"", "team-a/deep/app", policy.Pull, true},
		{"", "app", policy.Push, false},
		{"", "app", policy.List, false},
		{"ci", "app", policy.Pull, true},
		{"ci", "app", policy.List, true},
		{"ci", "app", policy.Push, false},
		{"ci", "team-a/app", policy.Push, true},
		{"ci", "team-a/deep/app", policy.Push, true},
		{"ci", "team-a", policy.Push, false},
		{"ci", "team-ab/app", policy.Push, false},
		{"ci", "team-b/cache", policy.Push, true},
		{"ci", "team-b/deep/cache", policy.Push, false},
		{"ci", "my/team-b/cache", policy.Push, false},
		{"ci", "team-b/cache2", policy.Push, false},
		{"ci", "team-a/app", policy.Delete, false},
		{"janitor", "team-a/app", policy.Delete, true},
		{"janitor", "team-a/app", policy.Push, false},
		{"*", "team-a/app", policy.Push, false},
		{"anonymous", "app", policy.Push, false},
	} {
		if got := parsed.Allows(test.user, test.repository, test.action); got != test.want {
			t.Errorf("user %q, %s of %s: %v, want %v", test.user, test.action, test.repository, got, test.want)
		}
	}
}

func TestPushIncludesPull(t *testing.T) {
	parsed := parse(t, "ci team-a/* push")
	if !parsed.Allows("ci", "team-a/app", policy.Pull) {
		t.Error("who may push may not pull")
	}
}

func TestNoRule(t *testing.T) {
	parsed := parse(t, "# nobody yet\n\n")
	if parsed.Allows("ci", "app", policy.Pull) || parsed.Allows("", "app", policy.Pull) || parsed.Anonymous() {
		t.Error("a policy without rules allows something")
	}
}

func TestSome(t *testing.T) {
	parsed := parse(t, example)
	if !parsed.Anonymous() || parse(t, "* * pull").Anonymous() {
		t.Error("anonymous access is not told from that of users")
	}
	if parsed.AllowsSome("", policy.List) || !parsed.AllowsSome("ci", policy.List) || parsed.AllowsSome("ci", policy.Delete) {
		t.Error("it is not known who may do something at all")
	}
	if !parsed.AllowsAll("ci", policy.List) || parsed.AllowsAll("ci", policy.Push) || parsed.AllowsAll("", policy.List) {
		t.Error("it is not known who may do something everywhere")
	}
}

func TestUnknown(t *testing.T) {
	parsed := parse(t, example+"guest * pull\n")
	if diff := cmp.Diff([]string{"ci", "guest"}, parsed.Unknown([]string{"janitor", "root"})); diff != "" {
		t.Errorf("unknown users (-want +got):\n%s", diff)
	}
}

func TestNotes(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{name: "none", in: example},
		{name: "twice", in: "ci a pull\nci a pull", want: []string{"line 2 allows nothing that line 1 does not allow"}},
		{name: "later one is wider", in: "ci a pull\nci * pull", want: []string{"line 1 allows nothing that line 2 does not allow"}},
		{name: "everybody", in: "anonymous * pull\nci team/** pull", want: []string{"line 2 allows nothing that line 1 does not allow"}},
		{name: "every user", in: "* team/** push\nci team/a*b pull", want: []string{"line 2 allows nothing that line 1 does not allow"}},
		{name: "every user is not everybody", in: "* * push\nanonymous * pull"},
		{name: "other actions", in: "ci * pull\nci * pull,delete", want: []string{"line 1 allows nothing that line 2 does not allow"}},
		{name: "a prefix that ends in a name", in: "ci team/** pull\nci team-b/** pull\nci tea* pull"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parse(t, test.in).Notes()); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	const actions = " is not an action; write pull, push, delete or list, with commas and no blanks between them"
	for _, test := range []struct {
		name, in string
		want     policy.Mistakes
	}{
		{name: "all at once", in: "ci\n\nci:x Team-A read\n", want: policy.Mistakes{
			"line 1: is not three words; write who, which repositories and what, as in: ci team-a/** pull,push",
			`line 3: "ci:x" is not a user; write a name without a colon`,
			`line 3: "Team-A" matches no repository; write it in lower case, as all names of repositories are`,
			`line 3: "read"` + actions,
		}},
		{name: "blank between actions", in: "ci * pull, push", want: policy.Mistakes{
			"line 1: is not three words; write who, which repositories and what, as in: ci team-a/** pull,push",
		}},
		{name: "empty action", in: "ci * pull,", want: policy.Mistakes{`line 1: ""` + actions}},
		{name: "brackets", in: "ci team-[ab] pull", want: policy.Mistakes{
			`line 1: "team-[ab]" matches no repository; write a repository's name, with * for a part of a name and ** for any number of them`,
		}},
		{name: "slash", in: "ci /team pull\nci team/ pull\nci a//b pull", want: policy.Mistakes{
			`line 1: "/team" matches no repository; write no / at the beginning or the end, and no two in a row`,
			`line 2: "team/" matches no repository; write no / at the beginning or the end, and no two in a row`,
			`line 3: "a//b" matches no repository; write no / at the beginning or the end, and no two in a row`,
		}},
		{name: "three stars", in: "ci team/*** pull", want: policy.Mistakes{
			`line 1: "team/***" matches no repository; write * for a part of a name or ** for any number of them`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := policy.Parse(test.in)
			if diff := cmp.Diff(error(test.want), err); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
