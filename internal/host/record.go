package host

import "maps"

// records are small values that outlive a hook, in one file for root alone.
type records struct {
	path string
}

func (r *records) get(name string) (string, error) {
	values, err := r.load()
	return values[name], err
}

// set writes only what changes.
func (r *records) set(name, value string) error {
	before, err := r.load()
	if err != nil || before[name] == value {
		return err
	}
	after := maps.Clone(before)
	after[name] = value
	if value == "" {
		delete(after, name)
	}
	return writeJSON(osDisk{}, r.path, after)
}

func (r *records) load() (map[string]string, error) {
	values := map[string]string{}
	err := readJSON(r.path, &values)
	return values, err
}
