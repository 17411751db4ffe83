package registryd

// This is the one list of what the registry is linked with. Each of distribution's
// packages registers itself under the name that config.yml uses.
import (
	"fmt"
	"sync"

	_ "github.com/distribution/distribution/v3/registry/auth/silly"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/proxy"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/azure"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/gcs"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/cloudfront"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/redirect"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/rewrite"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"

	rights "docker-registry-operator/internal/registryd/access"
	"docker-registry-operator/internal/registryd/filesystem"
	"docker-registry-operator/internal/registryd/swift"
)

// registerDrivers makes our own drivers and access controllers known to distribution, which
// has one list of them for the whole process.
var registerDrivers = sync.OnceValue(func() error {
	filesystem.Register()
	swift.Register()
	if err := rights.Register(); err != nil {
		return fmt.Errorf("cannot prepare the registry: %w", err)
	}
	return nil
})
