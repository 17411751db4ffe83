package provider

import (
	"encoding/json"
	"slices"
	"strings"
)

// version1 signs requests, and drops the certificates whose request nobody makes any more.
type version1 struct {
	provider *Provider
	answers  []signed
	garbage  bool
}

// signed is an answer as it is told.
type signed struct {
	CA          string   `json:"ca"`
	Request     string   `json:"certificate_signing_request"`
	Certificate string   `json:"certificate"`
	Chain       []string `json:"chain"`
	Revoked     bool     `json:"revoked,omitempty"`
}

func (v *version1) answer(requests []request) (int, error) {
	v.garbage = v.provider.Fault == Garbage
	asked := func(csr string) bool {
		return slices.ContainsFunc(requests, func(r request) bool { return r.csr == csr })
	}
	v.answers = slices.DeleteFunc(v.answers, func(s signed) bool { return !asked(s.Request) })
	answered := 0
	for _, r := range requests {
		if slices.ContainsFunc(v.answers, func(s signed) bool { return s.Request == r.csr }) {
			continue
		}
		answer, err := v.sign(r)
		if err != nil {
			return answered, err
		}
		v.answers = append(v.answers, answer)
		answered++
	}
	return answered, nil
}

func (v *version1) sign(r request) (signed, error) {
	issued, err := v.provider.issue(forRequest(r), r.parsed.PublicKey)
	if err != nil {
		return signed{}, err
	}
	answer := signed{Request: r.csr, CA: strings.TrimSpace(issued.above[0])}
	answer.Certificate = strings.TrimSpace(issued.certificate)
	if v.provider.Fault == Half {
		answer.Certificate = half(answer.Certificate)
	}
	answer.Chain = stripped(append([]string{answer.Certificate}, issued.above...)...)
	return answer, nil
}

func (v *version1) forget() { v.answers = nil }

func (v *version1) revoke() {
	for i := range v.answers {
		v.answers[i].Revoked = true
	}
}

func (v *version1) tell() (unit, application map[string]string, err error) {
	unit, application = map[string]string{}, map[string]string{}
	if v.garbage {
		application["certificates"] = `[{"certificate": garbage`
		return unit, application, nil
	}
	if len(v.answers) == 0 {
		return unit, application, nil
	}
	text, err := json.Marshal(v.answers)
	application["certificates"] = string(text)
	return unit, application, err
}
