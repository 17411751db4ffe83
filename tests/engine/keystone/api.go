package keystone

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// As whom the object store asks.
const serviceName, serviceUser = "service", "swift"

// object is what Keystone's API takes and gives.
type object = map[string]any

// Token returns a token of the user for the project.
func (s *Server) Token(ctx context.Context) (string, error) {
	return s.token(ctx, s.User, s.Password, s.Project)
}

// Register enters an object store in the catalog. The URL may have %(project_id)s in it.
func (s *Server) Register(ctx context.Context, url string) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return fmt.Errorf("cannot register object store: %w", err)
	}
	service, err := admin.create(ctx, "service", object{"type": "object-store", "name": serviceUser})
	if err != nil {
		return fmt.Errorf("cannot register object store: %w", err)
	}
	for _, face := range []string{"public", "internal", "admin"} {
		endpoint := object{"service_id": service, "interface": face, "url": url, "region_id": s.Region}
		if _, err := admin.create(ctx, "endpoint", endpoint); err != nil {
			return fmt.Errorf("cannot register object store: %w", err)
		}
	}
	return nil
}

// populate makes the projects, the users and their roles.
func (s *Server) populate(ctx context.Context) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	adminRole, err := admin.find(ctx, "role", "admin")
	if err != nil {
		return err
	}
	operator, err := admin.create(ctx, "role", object{"name": operatorRole})
	if err != nil {
		return err
	}
	if _, err := admin.member(ctx, serviceUser, servicePassword, serviceName, adminRole); err != nil {
		return err
	}
	s.ProjectID, err = admin.member(ctx, s.User, s.Password, s.Project, operator)
	return err
}

func (s *Server) admin(ctx context.Context) (client, error) {
	token, err := s.token(ctx, "admin", adminPassword, "admin")
	return client{s.URL, token}, err
}

func (s *Server) token(ctx context.Context, user, password, project string) (string, error) {
	domain := object{"id": "default"}
	answer, err := client{url: s.URL}.do(ctx, http.MethodPost, "/auth/tokens", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{
			"user": object{"name": user, "domain": domain, "password": password},
		}},
		"scope": object{"project": object{"name": project, "domain": domain}},
	}}, nil)
	if err != nil {
		return "", fmt.Errorf("cannot authenticate %s: %w", user, err)
	}
	return answer.Get("X-Subject-Token"), nil
}

// client calls the API with a token.
type client struct{ url, token string }

// member makes a user with a role in a project of its own, and returns the project.
func (c client) member(ctx context.Context, user, password, project, role string) (string, error) {
	projectID, err := c.create(ctx, "project", object{"name": project, "domain_id": "default"})
	if err != nil {
		return "", err
	}
	userID, err := c.create(ctx, "user", object{"name": user, "password": password, "domain_id": "default"})
	if err != nil {
		return "", err
	}
	_, err = c.do(ctx, http.MethodPut, "/projects/"+projectID+"/users/"+userID+"/roles/"+role, nil, nil)
	return projectID, err
}

// create makes a thing of a kind and returns its ID.
func (c client) create(ctx context.Context, kind string, thing object) (string, error) {
	var created map[string]struct{ ID string }
	if _, err := c.do(ctx, http.MethodPost, "/"+kind+"s", object{kind: thing}, &created); err != nil {
		return "", err
	}
	return created[kind].ID, nil
}

// find returns the ID of the thing of a kind with the name.
func (c client) find(ctx context.Context, kind, name string) (string, error) {
	var found map[string]json.RawMessage
	if _, err := c.do(ctx, http.MethodGet, "/"+kind+"s?name="+name, nil, &found); err != nil {
		return "", err
	}
	var things []struct{ ID string }
	if err := json.Unmarshal(found[kind+"s"], &things); err != nil || len(things) != 1 {
		return "", fmt.Errorf("cannot find %s %s: %d of them, %v", kind, name, len(things), err)
	}
	return things[0].ID, nil
}

// do reads a good answer into result, unless it is nil, and returns its headers.
func (c client) do(ctx context.Context, method, path string, body, result any) (http.Header, error) {
	var encoded bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&encoded).Encode(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, &encoded)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Auth-Token", c.token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, content)
	}
	if result == nil {
		return answer.Header, nil
	}
	return answer.Header, json.Unmarshal(content, result)
}
