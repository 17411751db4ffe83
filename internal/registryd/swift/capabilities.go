package swift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"

	"github.com/ncw/swift/v2"
)

// capabilities is what a service tells of itself, as far as the driver cares.
// https://docs.openstack.org/api-ref/object-store/#discoverability
type capabilities struct {
	// Static is there if the service has static large objects.
	Static *struct {
		Most int `json:"max_manifest_segments"`
	} `json:"slo"`
	// Bulk is there if it deletes many objects at a time.
	Bulk *struct {
		Most int `json:"max_deletes_per_request"`
	} `json:"bulk_delete"`
	// Temporary is there if it takes temporary URLs.
	Temporary *struct {
		Methods []string `json:"methods"`
		Digests []string `json:"allowed_digests"`
	} `json:"tempurl"`
}

// capabilities asks the service until it answers for the first time. One that tells
// nothing of itself has nothing but the basic interface.
func (s *store) capabilities(ctx context.Context) (capabilities, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has != nil {
		return *s.has, nil
	}
	has, err := retry(ctx, s.patience, func() (capabilities, error) { return s.ask(ctx) })
	var silent refused
	if err != nil && !(errors.As(err, &silent) && !temporary(silent)) {
		return capabilities{}, fmt.Errorf("cannot ask what Swift is able to do: %w", err)
	}
	s.has = &has
	return has, nil
}

func (s *store) ask(ctx context.Context) (capabilities, error) {
	storage, err := s.conn.GetStorageUrl(ctx)
	if err != nil {
		return capabilities{}, asRefused(err)
	}
	target, err := url.Parse(storage)
	if err != nil {
		return capabilities{}, fmt.Errorf("cannot read the address of the object store: %w", err)
	}
	// The address is <service>/v1/<account>.
	target.Path = path.Join(target.Path, "..", "..", "info")
	response, _, err := s.conn.Call(ctx, target.String(), swift.RequestOpts{Operation: http.MethodGet})
	if err != nil {
		return capabilities{}, asRefused(err)
	}
	defer response.Body.Close()
	var has capabilities
	if err := json.NewDecoder(response.Body).Decode(&has); err != nil {
		return capabilities{}, refused(http.StatusNotFound)
	}
	return has, nil
}
