package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Databags are what units of one or more applications tell the proxy, by the name of the unit.
type Databags map[string]map[string]string

// A service is one port of the proxy and the servers behind it, as a unit asks for it. What is nil was
// not asked for.
type service struct {
	Name          string    `yaml:"service_name"`
	Host          *string   `yaml:"service_host"`
	Port          *string   `yaml:"service_port"`
	Options       options   `yaml:"service_options"`
	ServerOptions options   `yaml:"server_options"`
	Crts          []string  `yaml:"crts"`
	Servers       []server  `yaml:"servers"`
	Errorfiles    yaml.Node `yaml:"errorfiles"`
	Backends      yaml.Node `yaml:"backends"`
}

// standard is the service of those who ask for none: it is HAProxy's own where no unit asks for one.
func standard() *service {
	host, port := "0.0.0.0", "80"
	return &service{
		Name: "haproxy_service", Host: &host, Port: &port,
		Options:       options{"balance leastconn", "cookie SRVNAME insert"},
		ServerOptions: options{"maxconn 100 cookie S{i} check"},
	}
}

// options are a list, or a text that separates them by commas.
type options []string

// UnmarshalYAML reads either form.
func (o *options) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]string)(o))
	}
	var text string
	if err := node.Decode(&text); err != nil {
		return err
	}
	*o = options{}
	for option := range strings.SplitSeq(text, ",") {
		if option = strings.TrimSpace(option); option != "" {
			*o = append(*o, option)
		}
	}
	return nil
}

// A server is one line of a backend.
type server struct {
	name, address, port, options string
}

// UnmarshalYAML reads a list of name, address, port and options, which are a text, a list or null.
func (s *server) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode || len(node.Content) != 4 {
		return fmt.Errorf("line %d: a server has a name, an address, a port and options", node.Line)
	}
	for i, field := range []*string{&s.name, &s.address, &s.port} {
		if err := node.Content[i].Decode(field); err != nil {
			return err
		}
	}
	last := node.Content[3]
	if last.Kind != yaml.SequenceNode {
		return last.Decode(&s.options)
	}
	var list []string
	err := last.Decode(&list)
	s.options = strings.Join(list, " ")
	return err
}

// A book is the services that were asked for, in the order in which they were.
type book struct {
	services []*service
}

func (b *book) service(name string) *service {
	for _, s := range b.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// services reads the databags. The charm takes units in no certain order; here it is that of names.
func services(bags Databags) ([]*service, error) {
	units := slices.Sorted(maps.Keys(bags))
	told := make(map[string]map[string]any, len(bags))
	asked := false
	for _, unit := range units {
		told[unit] = loads(bags[unit])
		asked = asked || has(told[unit], "services")
	}
	b := &book{}
	if !asked {
		b.services = append(b.services, standard())
	}
	for _, unit := range units {
		if err := b.ask(told[unit]); err != nil {
			return nil, fmt.Errorf("cannot read databag of %s: %w", unit, err)
		}
	}
	for _, unit := range units {
		if err := b.join(unit, told[unit]); err != nil {
			return nil, fmt.Errorf("cannot read databag of %s: %w", unit, err)
		}
	}
	if !slices.ContainsFunc(b.services, func(s *service) bool { return len(s.Servers) > 0 }) {
		return nil, nil
	}
	return b.services, b.place()
}

// loads takes what is JSON in a databag for what it says, whoever wrote it, and the rest for text.
func loads(bag map[string]string) map[string]any {
	told := make(map[string]any, len(bag))
	for key, text := range bag {
		var value any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil || decoder.More() {
			value = text
		}
		told[key] = value
	}
	return told
}

func has(told map[string]any, key string) bool {
	_, ok := told[key]
	return ok
}

// text is a value that the charm needs to be a text or, as it comes of JSON, a number.
func text(told map[string]any, key string) (string, error) {
	switch value := told[key].(type) {
	case string:
		return value, nil
	case json.Number:
		return value.String(), nil
	}
	return "", fmt.Errorf("%s is %T, which fails the charm's hook", key, told[key])
}

// ask takes in the services that a unit asks for.
func (b *book) ask(told map[string]any) error {
	key := "services"
	if !has(told, key) {
		key = "all_services"
	}
	if !has(told, key) {
		return nil
	}
	written, ok := told[key].(string)
	if !ok {
		return fmt.Errorf("%s is JSON, of which the charm reads no YAML", key)
	}
	var asked []*service
	if err := yaml.Unmarshal([]byte(written), &asked); err != nil {
		return fmt.Errorf("cannot read %s: %w", key, err)
	}
	for _, next := range asked {
		if err := b.merge(next); err != nil {
			return err
		}
	}
	if key == "services" {
		return nil
	}
	return b.answerFor(told)
}

// answerFor makes a unit that tells of all services, and is then a proxy itself, the server of each.
func (b *book) answerFor(told map[string]any) error {
	for _, s := range b.services {
		if len(s.Servers) == 0 {
			continue
		}
		address, err := text(told, "private-address")
		if err != nil {
			return err
		}
		if s.Port == nil {
			return fmt.Errorf("service %s has no port, which fails the charm's hook", s.Name)
		}
		for i := range s.Servers {
			s.Servers[i].address, s.Servers[i].port = address, *s.Port
		}
	}
	return nil
}

// merge adds the servers of a service to those of the same name. In all else the first one counts.
func (b *book) merge(next *service) error {
	if next.Name == "" {
		return errors.New("a service has no service_name")
	}
	if !next.Errorfiles.IsZero() || !next.Backends.IsZero() {
		return fmt.Errorf("service %s: errorfiles and backends are not played here", next.Name)
	}
	s := b.service(next.Name)
	if s == nil {
		b.services = append(b.services, next)
		return nil
	}
	if s.Servers == nil {
		s.Servers = next.Servers
	}
	for _, added := range next.Servers {
		if !slices.Contains(s.Servers, added) {
			s.Servers = append(s.Servers, added)
		}
	}
	s.Host, s.Port = first(s.Host, next.Host), first(s.Port, next.Port)
	if s.Options == nil {
		s.Options = next.Options
	}
	if s.ServerOptions == nil {
		s.ServerOptions = next.ServerOptions
	}
	if s.Crts == nil {
		s.Crts = next.Crts
	}
	return nil
}

func first(values ...*string) *string {
	for _, value := range values {
		if value != nil {
			return value
		}
	}
	return nil
}

// join makes a unit that asks for no service a server of those that it names, of those that are called
// as its application, or else of the first one.
func (b *book) join(unit string, told map[string]any) error {
	if has(told, "services") || !has(told, "port") || !has(told, "private-address") {
		return nil
	}
	port, err := text(told, "port")
	if err != nil {
		return err
	}
	address, err := text(told, "private-address")
	if err != nil {
		return err
	}
	application, _, _ := strings.Cut(unit, "/")
	names := []string{application + "_service", application}
	if has(told, "service_name") {
		name, err := text(told, "service_name")
		if err != nil || b.service(name) == nil {
			return err
		}
		names = append(names, name)
	}
	if has(told, "sitenames") {
		sites, err := text(told, "sitenames")
		if err != nil {
			return err
		}
		names = append(names, strings.Fields(sites)...)
	}
	served := slices.DeleteFunc(slices.Clone(b.services), func(s *service) bool { return !slices.Contains(names, s.Name) })
	if len(served) == 0 {
		served = b.services[:min(1, len(b.services))]
	}
	for _, s := range served {
		s.Servers = append(s.Servers, server{
			strings.ReplaceAll(unit, "/", "-") + "-" + port, address, port, strings.Join(s.ServerOptions, " "),
		})
	}
	return nil
}

// place gives services that name no address or port a port of every second one after that of the
// service with the last address.
func (b *book) place() error {
	var host string
	var last int
	var homeless []*service
	for _, s := range b.services {
		if s.Host == nil || s.Port == nil {
			homeless = append(homeless, s)
			continue
		}
		port, err := strconv.Atoi(*s.Port)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("service %s: port %q is none", s.Name, *s.Port)
		}
		if order := strings.Compare(*s.Host, host); order > 0 || (order == 0 && port > last) {
			host, last = *s.Host, port
		}
	}
	if len(homeless) == len(b.services) {
		return errors.New("no service has an address and a port, which fails the charm's hook")
	}
	slices.SortFunc(homeless, func(a, b *service) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range homeless {
		last += 2
		anywhere, port := "0.0.0.0", strconv.Itoa(last)
		s.Host, s.Port = &anywhere, &port
	}
	return nil
}
