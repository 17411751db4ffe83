package admin

import (
	"bufio"
	"strings"
)

// maxWords bounds a reason in bytes: it becomes part of a unit's status.
const maxWords = 300

// LastWords is why a registry ended, from what it wrote to standard error: the last
// line, unless it panicked, which stock registries do over a bad configuration and
// follow up with a trace. It is "" if there is nothing.
func LastWords(text string) string {
	words := ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if panicked, found := strings.CutPrefix(line, "panic: "); found {
			words = panicked
			break
		}
		if line != "" {
			words = line
		}
	}
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "..."
	}
	return words
}
