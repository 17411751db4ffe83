package config

import "log/slog"

const redacted = "<redacted>"

// Secret is a value that no log, error or dump may show. Its zero value means
// that there is none.
type Secret struct {
	value string
}

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal is the value itself. Every use of it must end in a file of mode 0600 or
// on a connection.
func (s Secret) Reveal() string { return s.value }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// Equal compares two secrets.
func (s Secret) Equal(other Secret) bool { return s.value == other.value }

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
