package relation

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// null is JSON's word for nothing, which Python publishes for None.
const null = "null"

// quote is a text as Python's json.dumps writes it: ASCII, with everything else and
// control characters escaped. Databags written otherwise would mean the same, but
// would tell units that read them of a change.
func quote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r >= ' ' && r <= '~':
			out.WriteRune(r)
		default:
			out.WriteString(escape(r))
		}
	}
	out.WriteByte('"')
	return out.String()
}

func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	}
	if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// quoteOrNull is null for an empty text.
func quoteOrNull(text string) string {
	if text == "" {
		return null
	}
	return quote(text)
}

// quoteList is a list as json.dumps writes it.
func quoteList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// unquote is the text of a value that should be JSON; what is not is taken as it is.
func unquote(value string) string {
	var text *string
	if json.Unmarshal([]byte(value), &text) != nil {
		return strings.TrimSpace(value)
	}
	if text == nil {
		return ""
	}
	return *text
}
