package desired

import (
	"fmt"
	"path"
	"strings"
)

// Place is where images are kept, in words that tell it from any other place and hold no
// credentials: `/srv/registry`, `s3 bucket "images" at s3.example.com`.
type Place string

// Dir says that the place is a directory of the unit's machine.
func (p Place) Dir() bool { return strings.HasPrefix(string(p), "/") }

// Count is how many repositories a place holds.
type Count struct {
	// Known says that somebody counted.
	Known bool `json:"known"`
	// Repositories are not all if More.
	Repositories int  `json:"repositories"`
	More         bool `json:"more"`
}

// Left is a place that the registry served from before and that may still hold images.
type Left struct {
	Place Place `json:"place"`
	Count Count `json:"count"`
	// Copied says that what it holds was moved to where the registry serves now.
	Copied bool `json:"copied,omitempty"`
}

// Note tells the operator what stays where.
func (l Left) Note() string {
	n := l.Count.Repositories
	switch {
	case l.Copied:
		return fmt.Sprintf("A copy of all images from before they were moved stays in %s; remove %[1]s/docker if you do not need it.", l.Place)
	case !l.Count.Known:
		return fmt.Sprintf("Images may stay in %s.", l.Place)
	case l.Count.More:
		return fmt.Sprintf("More than %d repositories stay in %s.", n, l.Place)
	case n == 1:
		return fmt.Sprintf("1 repository stays in %s.", l.Place)
	}
	return fmt.Sprintf("%d repositories stay in %s.", n, l.Place)
}

// Leave is what is left once the registry serves from another place than before, which
// holds so much. A place that is served is not left, nor is one without images.
func Leave(left []Left, before Place, count Count, now Place) []Left {
	var after []Left
	behind := Left{Place: before, Count: count}
	for _, l := range left {
		if l.Place == before {
			behind.Copied = l.Copied
			if !count.Known {
				// What was counted when it was tried before is the best that is known.
				behind.Count = l.Count
			}
		}
		if l.Place != before && l.Place != now {
			after = append(after, l)
		}
	}
	if before == "" || before == now || behind.Count.Known && behind.Count.Repositories == 0 {
		return after
	}
	return append(after, behind)
}

// Storage is an instance of Juju's storage that is attached to the unit; zero if none is.
type Storage struct {
	// ID is Juju's name for it, `registry-data/0`.
	ID string `json:"id"`
	// Location is where it is mounted.
	Location string `json:"location"`
}

// Images is the directory in the storage that holds images. It is not the mount point,
// which is there without the storage too.
func (s Storage) Images() string { return path.Join(s.Location, "registry") }
