package registryd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/health"
	"github.com/distribution/distribution/v3/registry/handlers"
	registrymiddleware "github.com/distribution/distribution/v3/registry/middleware/registry"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
	events "github.com/docker/go-events"
	"github.com/sirupsen/logrus"

	"docker-registry-operator/internal/registryd/upstream"
)

// captureName is the storage middleware that comes before those of the configuration.
const captureName = "registryd-capture"

// registerMiddleware makes ours known to distribution, which has one list of each
// kind for the whole process.
var registerMiddleware = sync.OnceValue(func() error {
	return errors.Join(storagemiddleware.Register(captureName, capture), registrymiddleware.Register(streamName, streamed))
})

// application is one application of distribution with what it needs to be taken down
// again without a trace, even when its construction fails half way.
type application struct {
	*handlers.App
	cancel context.CancelFunc
	health *health.Registry
	log    *logrus.Entry

	// driver is the storage driver below all middleware.
	driver storagedriver.StorageDriver
	// storage is driver with what makes it safe, as distribution uses it.
	storage storagedriver.StorageDriver
	// substitute, if there is one, takes the place of the driver that was configured.
	substitute storagedriver.StorageDriver
	// served tells whether this application has ever served.
	served func() bool
	// state is held while the scheduler's state is accessed.
	state *sync.Mutex
}

type captureKey struct{}

// capture hands the application under construction to whoever constructs it: the context
// of a storage middleware is the application itself.
func capture(ctx context.Context, driver storagedriver.StorageDriver, _ map[string]any) (storagedriver.StorageDriver, error) {
	a, ok := ctx.Value(captureKey{}).(*application)
	if !ok {
		return nil, fmt.Errorf("storage middleware %q is not for configuration files", captureName)
	}
	a.App, _ = ctx.(*handlers.App)
	a.driver = driver
	if a.substitute != nil {
		a.driver = a.substitute
	}
	kept := keepingDriver{guardedDriver{a.driver}}
	if a.App != nil && a.driver.Name() == s3Name {
		kept.StorageDriver = newPartDriver(kept.StorageDriver, a.Config.Storage.Parameters())
	}
	a.storage = kept
	if a.App != nil && a.Config.Proxy.RemoteURL != "" {
		upstream.Open()
		return &proxyDriver{StorageDriver: kept, state: a.state, served: a.served}, nil
	}
	return kept, nil
}

// build constructs the application. distribution reports bad configuration by a panic.
func (a *application) build(ctx context.Context, conf *configuration.Configuration) (err error) {
	if err := registerDrivers(); err != nil {
		return err
	}
	if err := registerMiddleware(); err != nil {
		return fmt.Errorf("cannot prepare storage: %w", err)
	}
	ctx, a.cancel = context.WithCancel(context.WithValue(ctx, captureKey{}, a))
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Join(asError(cause), a.close())
		}
	}()
	a.App = handlers.NewApp(ctx, conf)
	a.health = health.NewRegistry()
	a.RegisterHealthChecks(a.health)
	return nil
}

func asError(cause any) error {
	if err, ok := cause.(error); ok {
		return err
	}
	return fmt.Errorf("%v", cause)
}

// close ends everything that the application has started. App.Shutdown ends the health
// checks and the proxy, but neither the event broadcaster nor the connections to Redis.
func (a *application) close() error {
	defer a.cancel()
	if a.App == nil {
		return nil
	}
	return errors.Join(a.Shutdown(), closeField(a.App, "events", "sink"), closeField(a.App, "redis"))
}

// redirectEvents makes sink the receiver of the application's notifications.
func (a *application) redirectEvents(sink events.Sink) error {
	if err := closeField(a.App, "events", "sink"); err != nil {
		return err
	}
	field, err := appField(a.App, "events", "sink")
	if err != nil {
		return err
	}
	field.Set(reflect.ValueOf(sink))
	return nil
}

// appField reaches a field of the application that distribution keeps to itself and
// offers no way to. A release that renames it is noticed when the first generation is
// built.
func appField(app *handlers.App, path ...string) (reflect.Value, error) {
	value := reflect.ValueOf(app).Elem()
	for _, name := range path {
		value = value.FieldByName(name)
		if !value.IsValid() {
			return reflect.Value{}, fmt.Errorf("cannot find %v in distribution's application", path)
		}
	}
	return reflect.NewAt(value.Type(), value.Addr().UnsafePointer()).Elem(), nil
}

func closeField(app *handlers.App, path ...string) error {
	field, err := appField(app, path...)
	if err != nil {
		return err
	}
	closer, ok := field.Interface().(io.Closer)
	if !ok {
		return nil
	}
	return closer.Close()
}
