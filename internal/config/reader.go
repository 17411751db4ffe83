package config

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// kind is a type of option, as config.yaml calls it.
type kind string

const (
	textKind kind = "string"
	flagKind kind = "boolean"
	numKind  kind = "int"
)

// reader reads options one by one. It remembers which, and gathers what is wrong
// with them; a value that is wrong reads as the zero value.
type reader struct {
	options  Options
	read     map[string]kind
	problems Problems
}

func newReader(options Options) *reader {
	return &reader{options: options, read: map[string]kind{}}
}

func (r *reader) complain(option, format string, args ...any) {
	r.problems = append(r.problems, Problem{Option: option, Text: fmt.Sprintf(format, args...)})
}

// complained says that something is wrong with an option already.
func (r *reader) complained(option string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Option == option })
}

// complainOnce complains unless something is wrong with the option already.
func (r *reader) complainOnce(option, text string) {
	if !r.complained(option) {
		r.complain(option, "%s", text)
	}
}

// raw is a text option as it is.
func (r *reader) raw(name string) string {
	r.read[name] = textKind
	switch value := r.options[name].(type) {
	case nil:
		return ""
	case string:
		return value
	}
	r.complain(name, "must be text")
	return ""
}

// text is a text option on one line, without the blanks around it.
func (r *reader) text(name string) string {
	text := strings.TrimSpace(r.raw(name))
	if !printable(text) {
		r.complain(name, "must not contain line breaks or other control characters")
		return ""
	}
	return text
}

// secret is a text option whose blanks may be meant.
func (r *reader) secret(name string) Secret {
	text := r.raw(name)
	if !printable(text) {
		r.complain(name, "must not contain control characters, such as a line break at its end")
		return Secret{}
	}
	return NewSecret(text)
}

func printable(text string) bool {
	return strings.IndexFunc(text, unicode.IsControl) < 0 && strings.ToValidUTF8(text, "") == text
}

func (r *reader) flag(name string) bool {
	r.read[name] = flagKind
	switch value := r.options[name].(type) {
	case nil:
		return false
	case bool:
		return value
	}
	r.complain(name, "must be true or false")
	return false
}

// num is a whole number from low to high.
func (r *reader) num(name string, low, high int) int {
	r.read[name] = numKind
	value, whole := integer(r.options[name])
	if !whole || value < int64(low) || value > int64(high) {
		r.complain(name, "must be a whole number from %d to %d", low, high)
		return 0
	}
	return int(value)
}

// integer accepts a float because JSON has no other numbers.
func integer(value any) (n int64, whole bool) {
	switch value := value.(type) {
	case int:
		return int64(value), true
	case int64:
		return value, true
	case float64:
		// Above 2^53 a float no longer tells neighbours apart.
		if math.Trunc(value) == value && math.Abs(value) <= 1<<53 {
			return int64(value), true
		}
	}
	return 0, false
}

// choice is one of a few words, whichever the case it is typed in.
func (r *reader) choice(name string, words ...string) string {
	text := r.text(name)
	for _, word := range words {
		if strings.EqualFold(text, word) {
			return word
		}
	}
	last := len(words) - 1
	r.complain(name, "must be %s or %s", strings.Join(words[:last], ", "), words[last])
	return ""
}

// blob is what a text option holds in base64; nil if it is empty. Line breaks
// within it do not matter.
func (r *reader) blob(name string) []byte {
	text := strings.Join(strings.Fields(r.raw(name)), "")
	if text == "" {
		return nil
	}
	if block, _ := pem.Decode([]byte(r.raw(name))); block != nil {
		r.complain(name, `is PEM itself: type %s="$(base64 -w0 FILE)"`, name)
		return nil
	}
	blob, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		r.complain(name, `is not base64: type %s="$(base64 -w0 FILE)"`, name)
		return nil
	}
	return blob
}
