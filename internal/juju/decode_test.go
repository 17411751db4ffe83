package juju

import (
	"slices"
	"testing"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"a": 1, "b": 1.5e300, "c": null, "d": true, "e": "x"}`, `["5000/tcp", "1-65535/tcp", "7-3/tcp"]`,
		`{"status": "active", "message": "Ready"}`, `{"ingress-addresses": [""], "bind-addresses": [{"addresses": [{}]}]}`,
		`null`, `[]`, `{} {}`, `"`, ``, `{"a": 1e999}`, `{"a": [1]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := decodeValues(data)
		for name, value := range values {
			switch value.(type) {
			case string, bool, int64, float64:
			default:
				t.Errorf("%q is %T (%v)", name, value, err)
			}
		}
		ports, _ := decodePorts(data)
		for i, port := range ports {
			if port < 0 || port > 65535 || i > 0 && ports[i-1] >= port {
				t.Fatalf("port %d after %v", port, ports[:i])
			}
		}
		if addresses, err := decodeAddresses(data); err == nil && (len(addresses) == 0 || slices.Contains(addresses, "")) {
			t.Error("an empty address without an error")
		}
		_, _ = decodeStatus(data)
	})
}
