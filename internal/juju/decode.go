package juju

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"docker-registry-operator/internal/config"
	"docker-registry-operator/internal/desired"
)

// decode reads one JSON value. `null`, which hook tools print for what is not
// there, is T's zero value. Numbers of unknown type are a [json.Number].
func decode[T any](data []byte) (T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return value, plain(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return value, errors.New("more than one JSON value")
	}
	return value, nil
}

// plain leaves out of a JSON error what may be a part of a secret.
func plain(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("JSON of another type than expected at byte %d", kind.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("JSON ends too early")
	}
	return errors.New("not JSON")
}

func encode(settings map[string]string) ([]byte, error) {
	// relation-set reads YAML, of which JSON is a part.
	return json.Marshal(settings)
}

func decodeOptions(data []byte) (config.Options, error) {
	values, err := decodeValues(data)
	return config.Options(values), err
}

// decodeValues reads an object of strings, booleans and numbers. An entry that is
// null is left out.
func decodeValues(data []byte) (map[string]any, error) {
	raw, err := decode[map[string]any](data)
	if err != nil {
		return nil, err
	}
	values := make(map[string]any, len(raw))
	for name, value := range raw {
		switch value := value.(type) {
		case nil:
		case string, bool:
			values[name] = value
		case json.Number:
			if values[name], err = number(value); err != nil {
				return nil, fmt.Errorf("%q is %w", name, err)
			}
		default:
			return nil, fmt.Errorf("%q is neither a string, nor a boolean, nor a number", name)
		}
	}
	return values, nil
}

// exactFloat is the greatest integer below which a float64 holds every integer.
const exactFloat = 1 << 53

// number is an int64 wherever the value is a whole number: the controller hands
// integers through a float64 on their way to the unit.
func number(text json.Number) (any, error) {
	if whole, err := text.Int64(); err == nil {
		return whole, nil
	}
	value, err := text.Float64()
	if err != nil {
		return nil, errors.New("a number out of range")
	}
	if value == math.Trunc(value) && math.Abs(value) < exactFloat {
		return int64(value), nil
	}
	return value, nil
}

func decodeStatus(data []byte) (desired.Status, error) {
	status, err := decode[struct {
		Status  desired.Level `json:"status"`
		Message string        `json:"message"`
	}](data)
	return desired.Status{Level: status.Status, Message: status.Message}, err
}

// decodeAddresses reads what network-get knows of an endpoint.
func decodeAddresses(data []byte) ([]string, error) {
	network, err := decode[struct {
		Ingress []string `json:"ingress-addresses"`
		Bind    []struct {
			Addresses []struct {
				Value   string `json:"value"`
				Address string `json:"address"`
			} `json:"addresses"`
		} `json:"bind-addresses"`
	}](data)
	if err != nil {
		return nil, err
	}
	ingress := slices.DeleteFunc(network.Ingress, func(address string) bool { return address == "" })
	if len(ingress) > 0 {
		return ingress, nil
	}
	for _, bind := range network.Bind {
		for _, address := range bind.Addresses {
			if found := cmp.Or(address.Value, address.Address); found != "" {
				return []string{found}, nil
			}
		}
	}
	return nil, errors.New("the endpoint has no address yet")
}

// decodePorts reads `5000/tcp` and `6000-6010/tcp`. What is not TCP is left out.
func decodePorts(data []byte) ([]int, error) {
	ranges, err := decode[[]string](data)
	if err != nil {
		return nil, err
	}
	var ports []int
	for _, text := range ranges {
		bounds, isTCP := strings.CutSuffix(text, "/tcp")
		if !isTCP {
			continue
		}
		from, to, isRange := strings.Cut(bounds, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a port", text)
		}
		last, err := strconv.ParseUint(to, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a port", text)
		}
		for port := first; port <= last; port++ {
			ports = append(ports, int(port))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}
