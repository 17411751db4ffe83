package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/juju/juju/api"
	"github.com/juju/juju/api/base"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/names/v5"
	"gopkg.in/httprequest.v1"

	"docker-registry-operator/tests/juju/wire"
)

// A connection carries API calls to the model, as JSON over HTTP. It is a base.APICaller.
type connection struct {
	base   string
	unit   names.UnitTag
	client *http.Client
}

func newConnection(address string, unit names.UnitTag) *connection {
	// Watchers keep a request each, so connections are kept in numbers.
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	return &connection{base: "http://" + address, unit: unit, client: &http.Client{Transport: transport}}
}

var _ base.APICaller = (*connection)(nil)

// APICall is part of base.APICaller.
func (c *connection) APICall(facade string, _ int, id, request string, args, response any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	target := c.base + "/api/" + url.PathEscape(facade) + "/" + url.PathEscape(request) + "?id=" + url.QueryEscape(id)
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(wire.UnitHeader, c.unit.Id())
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot call %s.%s: %w", facade, request, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("cannot call %s.%s: %w", facade, request, err)
	}
	if resp.StatusCode != http.StatusOK {
		refusal := new(params.Error)
		if err := json.Unmarshal(answer, refusal); err != nil {
			return fmt.Errorf("cannot call %s.%s: %s: %s", facade, request, resp.Status, answer)
		}
		return refusal
	}
	if response == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, response)
}

// report tells the model something that only the test wants to know.
func (c *connection) report(request string, args any) error {
	return c.APICall(wire.Facade, 1, "", request, args, nil)
}

// relayUpdateStatus sends on asks whenever the test wants an update-status hook.
func (c *connection) relayUpdateStatus(asks chan<- time.Time) {
	for {
		if err := c.report(wire.UpdateStatus, nil); err != nil {
			time.Sleep(restartDelay)
			continue
		}
		asks <- time.Now()
	}
}

// BestFacadeVersion is part of base.APICaller. The model speaks what this Juju's client knows best.
func (c *connection) BestFacadeVersion(facade string) int {
	best := 0
	for _, version := range api.SupportedFacadeVersions()[facade] {
		best = max(best, version)
	}
	return best
}

// ModelTag is part of base.APICaller.
func (c *connection) ModelTag() (names.ModelTag, bool) { return names.ModelTag{}, false }

// HTTPClient is part of base.APICaller.
func (c *connection) HTTPClient() (*httprequest.Client, error) {
	return &httprequest.Client{BaseURL: c.base, Doer: c.client}, nil
}

// RootHTTPClient is part of base.APICaller.
func (c *connection) RootHTTPClient() (*httprequest.Client, error) { return c.HTTPClient() }

// BakeryClient is part of base.APICaller. Nothing here needs a macaroon.
func (c *connection) BakeryClient() base.MacaroonDischarger { return nil }

// Context is part of base.APICaller.
func (c *connection) Context() context.Context { return context.Background() }

var errNoStream = errors.New("cannot connect stream: the model has none")

// ConnectStream is part of base.APICaller.
func (c *connection) ConnectStream(string, url.Values) (base.Stream, error) { return nil, errNoStream }

// ConnectControllerStream is part of base.APICaller.
func (c *connection) ConnectControllerStream(string, url.Values, http.Header) (base.Stream, error) {
	return nil, errNoStream
}
