// Package htpasswd keeps a password file with one user, as the registry reads it. It
// reads and writes no file itself; where the file stands is decided in package desired.
package htpasswd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"docker-registry-operator/internal/config"
)

// The bcrypt costs of new files; docs/decisions/bcrypt-cost.md says what they are weighed
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

// Keep is the password file for one user: current as it is, if it holds that user
// with this password at this cost and nobody else, otherwise a new one. A new one differs each time, because bcrypt is salted.
func Keep(current []byte, user string, password config.Secret, cost int) ([]byte, error) {
	if holds(current, user, password, cost) {
		return current, nil
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password.Reveal()), cost)
	if err != nil {
		return nil, fmt.Errorf("cannot hash password of user %q: %w", user, err)
	}
	return fmt.Appendf(nil, "%s:%s\n", user, hash), nil
}

// holds says that a file is as good as what Keep would write.
func holds(file []byte, user string, password config.Secret, cost int) bool {
	line, found := strings.CutSuffix(string(file), "\n")
	name, hash, colon := strings.Cut(line, ":")
	if !found || !colon || name != user || strings.ContainsAny(hash, ":\r\n") {
		return false
	}
	if has, err := bcrypt.Cost([]byte(hash)); err != nil || has != cost {
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password.Reveal())) == nil
}

// Marker is a fingerprint of a file that Keep made, and of what it made it for. While
// it is the same, Keep need not be asked, which costs as much as a login. It tells
// nothing about the password to those who do not have the key; stored beside the
// charm's records it saves a bcrypt computation at each hook.
func Marker(key config.Secret, user string, password config.Secret, cost int, file []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	for _, part := range []string{user, password.Reveal(), fmt.Sprint(cost), string(file)} {
		// The length keeps "ab"+"c" apart from "a"+"bc".
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}
