package config

import "log/slog"

const redacted = "<redacted>"

// Secret is a value that no log, error or dump may show. Its zero value means
// that there is none. Secrets are compared by [Secret.Equal]; == does not compile.
type Secret struct {
	_ [0]func() // keeps == from comparing addresses

	// A pointer, because fmt calls no method of a Secret in an unexported field, and
	// then prints what it holds: of a pointer, the address.
	value *string
}

// NewSecret wraps a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal is the value itself. Every use of it must end in a file of mode 0600 or
// on a connection.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares two secrets.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String is always "<redacted>".
func (Secret) String() string { return redacted }

// GoString is always "<redacted>".
func (Secret) GoString() string { return redacted }

// LogValue is always "<redacted>".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON is always the string "<redacted>".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML is always "<redacted>".
func (Secret) MarshalYAML() (any, error) { return redacted, nil }
