package swift

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// Put makes a container, or changes what its headers say, such as X-Container-Meta-Quota-Bytes. With an
// empty name it changes the account, such as its X-Account-Meta-Temp-URL-Key.
func (s *Server) Put(ctx context.Context, container string, headers map[string]string) error {
	method, path := http.MethodPut, "/"+container
	if container == "" {
		method, path = http.MethodPost, ""
	}
	storage, token, err := s.Authenticate(ctx)
	if err != nil {
		return fmt.Errorf("cannot put container %q: %w", container, err)
	}
	authenticated := map[string]string{"X-Auth-Token": token}
	maps.Copy(authenticated, headers)
	if _, err := do(ctx, method, storage+path, authenticated); err != nil {
		return fmt.Errorf("cannot put container %q: %w", container, err)
	}
	return nil
}

// Authenticate returns the URL of the account and a token for it.
func (s *Server) Authenticate(ctx context.Context) (storage, token string, err error) {
	if s.keystone != nil {
		token, err = s.keystone.Token(ctx)
		return "http://" + s.Address + "/v1/AUTH_" + s.keystone.ProjectID, token, err
	}
	answer, err := do(ctx, http.MethodGet, s.AuthURL, map[string]string{"X-Auth-User": s.User, "X-Auth-Key": s.Password})
	if err != nil {
		return "", "", err
	}
	return answer.Get("X-Storage-Url"), answer.Get("X-Auth-Token"), nil
}

// do returns the headers of a good answer.
func do(ctx context.Context, method, url string, headers map[string]string) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	return answer.Header, nil
}
