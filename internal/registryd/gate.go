package registryd

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/sirupsen/logrus"

	rights "docker-registry-operator/internal/registryd/access"
	"docker-registry-operator/internal/registryd/accesslog"
)

// gate asks the access controller of an application about the requests that the server
// answers in the application's place.
type gate struct {
	controller auth.AccessController // nil lets everybody in
	headers    http.Header           // of every answer
	log        *logrus.Entry
}

// newGate takes the access controller that app was built with.
func newGate(app *application, log *logrus.Entry) (*gate, error) {
	field, err := appField(app.App, "accessController")
	if err != nil {
		return nil, err
	}
	controller, ok := field.Interface().(auth.AccessController)
	if !ok && !field.IsNil() {
		return nil, fmt.Errorf("cannot use the access controller of type %v", field.Type())
	}
	headers := http.Header{}
	for name, values := range app.Config.HTTP.Headers {
		for _, value := range values {
			headers.Add(name, value)
		}
	}
	return &gate{controller: controller, headers: headers, log: log}, nil
}

// Admit reports whether r may have all of access, and whose request it is. If it may not,
// it has been answered. The headers of every answer are set in either case.
func (g *gate) Admit(w http.ResponseWriter, r *http.Request, access ...auth.Access) (user string, ok bool) {
	g.setHeaders(w)
	if g.controller == nil {
		return "", true
	}
	grant, err := g.controller.Authorized(r, access...)
	if err == nil && grant != nil {
		accesslog.SetUser(r.Context(), grant.User.Name)
		return grant.User.Name, true
	}
	g.refuse(r.Context(), w, r, err, access)
	return "", false
}

func (g *gate) setHeaders(w http.ResponseWriter) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	for name, values := range g.headers {
		w.Header()[name] = append(w.Header()[name], values...)
	}
}

// AdmitToCatalog reports whether r may have the catalog, and which repositories it may show. It is Admit
// otherwise.
func (g *gate) AdmitToCatalog(w http.ResponseWriter, r *http.Request) (visible func(repository string) bool, ok bool) {
	catalog := auth.Access{Resource: auth.Resource{Type: "registry", Name: "catalog"}, Action: "*"}
	controller, ours := g.controller.(*rights.Controller)
	if !ours {
		_, ok := g.Admit(w, r, catalog)
		return func(string) bool { return true }, ok
	}
	g.setHeaders(w)
	user, visible, err := controller.Visible(r)
	if err != nil {
		g.refuse(r.Context(), w, r, err, []auth.Access{catalog})
		return nil, false
	}
	accesslog.SetUser(r.Context(), user)
	return visible, true
}

// refuse answers as distribution's application does.
func (g *gate) refuse(ctx context.Context, w http.ResponseWriter, r *http.Request, err error, access []auth.Access) {
	log := g.log.WithContext(ctx).WithError(err)
	challenge, ok := err.(auth.Challenge)
	if !ok {
		log.Error("error checking authorization")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	log.Warn("error authorizing context")
	challenge.SetHeaders(r, w)
	code := errcode.ErrorCodeUnauthorized
	if refused := (*rights.Refusal)(nil); errors.As(err, &refused) {
		code = refused.Code
	}
	_ = errcode.ServeJSON(w, code.WithDetail(access)) // a client that is gone needs no answer
}

// access is what method needs of the repository of that name, as distribution asks for it.
func access(method, repository string) []auth.Access {
	resource := auth.Resource{Type: "repository", Name: repository}
	switch method {
	case http.MethodGet, http.MethodHead:
		return []auth.Access{{Resource: resource, Action: "pull"}}
	case http.MethodDelete:
		return []auth.Access{{Resource: resource, Action: "delete"}}
	}
	return []auth.Access{{Resource: resource, Action: "pull"}, {Resource: resource, Action: "push"}}
}
