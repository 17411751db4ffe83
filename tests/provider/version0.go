package provider

import (
	"encoding/json"
	"slices"
	"strings"
)

// version0 makes key and certificate itself, and again for a request whose set of names has changed.
type version0 struct {
	provider *Provider
	answers  map[string]made // by the unit's name
}

// made is what a unit was answered, and what it had asked for.
type made struct {
	name string
	sans []string
	issued
	key string
}

func (v *version0) answer(requests []request) (int, error) {
	answered := 0
	for _, r := range requests {
		sans := slices.Compact(slices.Sorted(slices.Values(r.sans)))
		if before, ok := v.answers[r.unit]; ok && before.name == r.name && slices.Equal(before.sans, sans) {
			continue
		}
		answer, err := v.make(r)
		if err != nil {
			return answered, err
		}
		answer.name, answer.sans = r.name, sans
		v.answers[r.unit] = answer
		answered++
	}
	return answered, nil
}

func (v *version0) make(r request) (made, error) {
	key, err := newKey()
	if err != nil {
		return made{}, err
	}
	answer := made{}
	if answer.issued, err = v.provider.issue(forServer(r), key.Public()); err != nil {
		return made{}, err
	}
	// openssl writes a description above the certificate, and easyrsa passes it on.
	answer.certificate = "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + answer.certificate
	if answer.key, err = encodeKey(key); err != nil {
		return made{}, err
	}
	switch v.provider.Fault {
	case Half:
		answer.key = ""
	case Garbage:
		answer.certificate, answer.key = "garbage", "garbage"
	}
	return answer, nil
}

func (v *version0) forget() { clear(v.answers) }

// tell keeps the answers of units that are gone, as the interface's own code does. The client's
// certificate is for anybody who asks for one.
func (v *version0) tell() (unit, application map[string]string, err error) {
	unit = map[string]string{"client.cert": "for clients", "client.key": "for clients"}
	above := v.provider.issuer.Chain()
	for name, answer := range v.answers {
		above = answer.above
		if !v.provider.options.Further {
			unit[name+".server.cert"], unit[name+".server.key"] = answer.certificate, answer.key
			continue
		}
		further, err := json.Marshal(map[string]map[string]string{
			answer.name: {"cert": answer.certificate, "key": answer.key},
		})
		if err != nil {
			return nil, nil, err
		}
		unit[name+".processed_requests"] = string(further)
	}
	unit["ca"] = above[0]
	if len(above) > 1 {
		unit["chain"] = strings.Join(above, "")
	}
	return unit, map[string]string{}, nil
}
