// Package htpasswd keeps a password file, as the registry reads it. It reads and writes
// no file itself; where the file stands is decided in package desired.
package htpasswd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/config"
)

// The bcrypt costs of new hashes; docs/decisions/bcrypt-cost.md says what they are weighed
// against.
const (
	// Cost is for the registry that the charm carries, which remembers whom it let in.
	Cost = 10
	// StockCost is for others, which compute bcrypt at every request.
	StockCost = 5
)

// CostFor is the cost for the registry of option registry-image, which is "" for the one
// that the charm carries.
func CostFor(image string) int {
	if image == "" {
		return Cost
	}
	return StockCost
}

// File is a password file, and what is known of it.
type File struct {
	Text []byte
	// Marks are fingerprints of the lines that verify, and of the passwords that they do
	// so for. They tell nothing about a password to those who do not have the key.
	Marks string
}

// Keep is the password file for users, in their order. A line of current is kept if it
// verifies the user's password at this cost; a new one differs each time, because bcrypt
// is salted. A hash that a user has is used as it is. A line that current has the mark
// of is not verified again, which costs as much as a login.
func Keep(current File, users []config.User, cost int, key config.Secret) (File, error) {
	lines, marked := map[string]string{}, strings.Fields(current.Marks)
	for line := range strings.Lines(string(current.Text)) {
		name, hash, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		lines[name] = hash
	}
	var text []byte
	var marks []string
	for _, user := range users {
		hash := lines[user.Name]
		if !slices.Contains(marked, mark(key, user, cost, hash)) {
			var err error
			if hash, err = keepHash(hash, user, cost); err != nil {
				return File{}, err
			}
		}
		text = fmt.Appendf(text, "%s:%s\n", user.Name, hash)
		marks = append(marks, mark(key, user, cost, hash))
	}
	return File{Text: text, Marks: strings.Join(marks, " ")}, nil
}

// keepHash is current if it is as good as a new hash.
func keepHash(current string, user config.User, cost int) (string, error) {
	if !user.Hash.IsZero() {
		return user.Hash.Reveal(), nil
	}
	password := []byte(user.Password.Reveal())
	has, err := bcrypt.Cost([]byte(current))
	if err == nil && has == cost && !strings.ContainsAny(current, ":\r\n") &&
		bcrypt.CompareHashAndPassword([]byte(current), password) == nil {
		return current, nil
	}
	hash, err := bcrypt.GenerateFromPassword(password, cost)
	if err != nil {
		return "", fmt.Errorf("cannot hash password of user %q: %w", user.Name, err)
	}
	return string(hash), nil
}

// mark is a fingerprint of one line and of what it is for.
func mark(key config.Secret, user config.User, cost int, hash string) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	for _, part := range []string{user.Name, user.Password.Reveal(), user.Hash.Reveal(), fmt.Sprint(cost), hash} {
		// The length keeps "ab"+"c" apart from "a"+"bc".
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}
