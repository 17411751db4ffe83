package desired

// State is what a unit should look like: everything that is to be made so, and
// nothing about how.
type State struct {
	// Files are all files that the charm owns on the host. A file that it owned
	// before and that is not among them is to be removed.
	Files []File
	// Workload is the registry.
	Workload Workload
	// Place is where the registry keeps its images.
	Place Place
	// Data is the directory of images that the registry has, used or not.
	Data string
	// TakeOver says that the images are to become the registry's own.
	TakeOver bool
	// Ports are the TCP ports that Juju should have open, ascending.
	Ports []int
	// Client is what the host's own Docker needs to talk to the registry; zero for a
	// registry that runs without Docker.
	Client Client
	// Databags are what the unit tells over its relations once it serves.
	Databags []Databag
	// Issued is the certificate of a relation that is served, to be remembered; nil if
	// none is.
	Issued *Issued
	// Status is what the operator is told once all of this is so.
	Status Status
}

// ServesData says that the registry's images are in its directory of the machine.
func (s State) ServesData() bool { return string(s.Place) == s.Data }

// File is one owned file.
type File struct {
	Path    string // absolute, on the host
	Content []byte
	// Mode is the permission bits.
	Mode uint32
	// Registry makes the registry's user the owner; otherwise it is root.
	Registry bool
}

// Workload is one registry process, however it is run. Two workloads that differ
// in more than Config, Port, TLS and Stopped cannot be turned into one another by
// a reload.
type Workload struct {
	// Name is the container's or the service's name.
	Name string
	// Unit is the name of the unit that owns it.
	Unit string
	// Image is the image to run; "" is the registry that the charm carries.
	Image string
	// ConfigFile is the path of config.yml; Config is the digest of its bytes,
	// `sha256:<hex>`. A running registry with another digest is to be reloaded,
	// or replaced if its image cannot reload.
	ConfigFile, Config string
	// Sockets is the directory for the admin socket; "" for an image without one.
	Sockets string
	// User is whom the process becomes. With Capabilities it is started as root and
	// drops to User itself, keeping these (names without CAP_); an image without an
	// admin socket then stays root.
	User         Identity
	Capabilities []string
	Mounts       []Mount
	// Env are NAME=value settings, none of them secret.
	Env []string
	// Environment is a file of NAME=value lines that the registry reads as it starts,
	// "" for none, and EnvironmentDigest the digest of its bytes.
	Environment, EnvironmentDigest string
	// Port and TLS tell how to ask whether it serves.
	Port int
	TLS  bool
	// Stopped keeps it down: an operator asked for that.
	Stopped bool
}

// Identity is a numeric user and group of the host.
type Identity struct {
	UID, GID int
}

// Mount gives a directory of the host to the registry, at the same path.
type Mount struct {
	Path     string
	ReadOnly bool
}

// Client is how the host's Docker Engine reaches the registry, by each of Netlocs
// (host:port): trusting CA, or without TLS if Plain. Without CA over TLS the
// host's own authorities decide.
type Client struct {
	Netlocs []string
	CA      []byte // PEM
	Plain   bool
}

// Databag is what the unit tells over one relation, in its own databag or in that of its
// application.
type Databag struct {
	Relation    string // ID
	Application bool
	// Now is what it tells already. Settings are what these keys should be; an empty
	// value stands for no key, and other keys are left alone.
	Now, Settings map[string]string
}

// Changes are those settings that differ from what is told already, nil if none does.
func (d Databag) Changes() map[string]string {
	var changes map[string]string
	for key, value := range d.Settings {
		if d.Now[key] == value {
			continue
		}
		if changes == nil {
			changes = map[string]string{}
		}
		changes[key] = value
	}
	return changes
}

// Status is what `juju status` shows of the unit.
type Status struct {
	Level   Level
	Message string
}

// Level is a unit status of Juju.
type Level string

// The levels that a charm may set.
const (
	Active      Level = "active"
	Blocked     Level = "blocked"
	Waiting     Level = "waiting"
	Maintenance Level = "maintenance"
)
