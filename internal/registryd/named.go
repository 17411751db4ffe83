package registryd

import (
	"errors"
	"net/http"
	"reflect"

	"github.com/distribution/distribution/v3/registry/auth"

	"docker-registry-operator/internal/registryd/accesslog"
)

// nameUsers has the access log name the users that the application's access controller lets in.
func nameUsers(app *application) error {
	field, err := appField(app.App, "accessController")
	if err != nil || field.IsNil() {
		return err
	}
	controller, ok := field.Interface().(auth.AccessController)
	if !ok {
		return errors.New("cannot use the access controller of distribution's application")
	}
	field.Set(reflect.ValueOf(namingController{controller}))
	return nil
}

// namingController tells the access log whom it has let in.
type namingController struct{ auth.AccessController }

// Authorized asks the controller.
func (c namingController) Authorized(r *http.Request, access ...auth.Access) (*auth.Grant, error) {
	grant, err := c.AccessController.Authorized(r, access...)
	if err == nil && grant != nil {
		accesslog.SetUser(r.Context(), grant.User.Name)
	}
	return grant, err
}
