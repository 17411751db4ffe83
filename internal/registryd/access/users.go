package access

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
)

// passwords are the users of a password file who can sign in, each with the bcrypt hash of its line.
type passwords struct {
	hashes map[string]string
	// nobody is the hash for users that there are not. It takes as long as the dearest of the file.
	nobody string
}

// parsePasswords reads lines of user:hash, as the stock registry does. Users with what is not bcrypt can no more
// sign in than those who are not there. Errors do not show a line, which may hold a password where somebody forgot
// to hash it.
func parsePasswords(content []byte) (*passwords, error) {
	parsed := &passwords{hashes: make(map[string]string)}
	dearest, number := bcrypt.MinCost, 0
	for raw := range bytes.Lines(content) {
		number++
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		user, hash, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("line %d has no colon; write user:bcrypt hash", number)
		}
		delete(parsed.hashes, user) // the last line of a user counts
		if cost, err := bcrypt.Cost([]byte(hash)); err == nil && user != "" {
			parsed.hashes[user] = hash
			dearest = max(dearest, cost)
		}
	}
	parsed.nobody = fmt.Sprintf("$2a$%02d$%s", dearest, strings.Repeat("A", 53))
	return parsed, nil
}

// hash is what the password of user is compared with.
func (p *passwords) hash(user string) (hash string, known bool) {
	if hash, known := p.hashes[user]; known {
		return hash, true
	}
	return p.nobody, false
}

// glance is how long a look at the password file holds. A look takes as long as a tenth of the pull of a
// manifest, and one a millisecond is as good as one a request: nobody can tell them apart.
const glance = time.Millisecond

// users are those of a file, which may be replaced at any time.
type users struct {
	path string // "" for no users
	read atomic.Pointer[readFile]
}

// readFile is a file as it was read, and when it was last seen to be the same.
type readFile struct {
	version version
	parsed  *passwords
	seen    time.Time
}

// version tells a file from the one that replaces it.
type version struct {
	inode   uint64
	size    int64
	changed unix.Timespec
}

func versionOf(path string) (version, error) {
	var found unix.Stat_t
	if err := unix.Stat(path, &found); err != nil {
		return version{}, err
	}
	return version{found.Ino, found.Size, found.Mtim}, nil
}

// current reads the file anew if it is another one than before.
func (u *users) current() (*passwords, error) {
	if u.path == "" {
		return &passwords{}, nil
	}
	last := u.read.Load()
	if last != nil && time.Since(last.seen) < glance {
		return last.parsed, nil
	}
	now := &readFile{seen: time.Now()}
	var err error
	if now.version, err = versionOf(u.path); err != nil {
		return nil, u.unread(err)
	}
	if last != nil && last.version == now.version {
		now.parsed = last.parsed
	} else if now.parsed, err = readPasswords(u.path); err != nil {
		return nil, u.unread(err)
	}
	u.read.Store(now)
	return now.parsed, nil
}

func readPasswords(path string) (*passwords, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parsePasswords(content)
}

func (u *users) unread(cause error) error {
	if failed := (*fs.PathError)(nil); errors.As(cause, &failed) {
		cause = failed.Err
	}
	return fmt.Errorf("cannot read password file %q: %v", u.path, cause)
}
