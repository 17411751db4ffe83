// Package script gives testscript the commands to tell a story about a charm: machines, a deployed
// application, and what its operator and its neighbours do. What a command finds out it prints, for
// stdout and cmp to compare. The stories themselves are elsewhere.
//
// What is not about a unit is about the application that was deployed last. UNIT is a unit such as
// tiny/0, KEY=VALUE an option, a parameter or a databag's entry. As with juju config, KEY=@FILE is an
// option with what the file holds.
//
//	machine NAME [engine]           makes a machine, with a Docker Engine if asked for
//	deploy CHARM[:NAME] MACHINE... [KEY=VALUE...] [storage:NAME=PATH]  deploys, by another name if given,
//	                                without waiting
//	add-unit MACHINE                adds a unit
//	storage UNIT NAME PATH          attaches storage
//	detach UNIT ID                  detaches storage, such as data/0
//	config [KEY=VALUE...] [-reset KEY...]   sets options; prints nothing
//	model KEY=VALUE...              sets the model's configuration
//	wait-idle                       waits until every unit is idle
//	wait-status UNIT REGEXP         waits until the unit's status, or its agent's, matches
//	status UNIT                     prints unit, agent, version and ports
//	hooks UNIT                      prints the hooks that ended since hooks was last asked: name, tools
//	log UNIT                        prints what hooks logged at INFO and above, and on standard error
//	run UNIT ACTION [KEY=VALUE...]  runs an action and prints its results; fails if it failed
//	leader [UNIT]                   prints the leader, or moves leadership
//	relate ENDPOINT APPLICATION     relates to an application that the script plays
//	databag ENDPOINT NAME [KEY=VALUE...]  sets a databag of a unit or application played, or prints any
//	depart ENDPOINT UNIT            takes a played unit out of the relation
//	unrelate ENDPOINT [APPLICATION] ends the relation, the one with the application if there are several
//	provider v0|v1 NAME [intermediate=true]   relates to a certificate provider that the script plays;
//	                                $WORK/NAME.crt is its root
//	provide NAME [reissue|rotate|revoke|leave] [fault=FAULT] [validity=DURATION] [age=DURATION]
//	                                has the provider look: it answers new requests, or all anew, with a
//	                                new root; says that it revoked all; or ends the relation. Prints
//	                                how many it answered. FAULT is half, garbage, foreign-key, wrong-ca
//	                                or authority
//	refresh CHARM                   replaces the charm
//	update-status UNIT              makes update-status due
//	kill-hook UNIT DURATION         waits for a hook, gives it the time, kills it, prints its name
//	agent UNIT start|stop|kill      acts on the unit's agent
//	engine UNIT start|stop|kill|restart   acts on the engine of the unit's machine
//	reboot UNIT                     restarts the machine as a power failure would
//	on UNIT|MACHINE COMMAND...      runs a command on the machine and prints what it prints
//	put UNIT|MACHINE FILE PATH [MODE]  writes a file of the script to the machine
//	keep NAME [REGEXP]              keeps what the last command printed, or the part of it, as $NAME
//	get UNIT URL                    fetches from the unit's machine, prints status and body
//	request UNIT|MACHINE METHOD URL [user=NAME:PASSWORD] [ca=FILE] [body=FILE] [HEADER=VALUE...]
//	                                sends a request, prints certificates, status, header and body
//	receive MACHINE ADDRESS         serves on the machine what notes requests and passes on a proxy's
//	received REGEXP                 waits until a request matches, prints all that were noted
//	certificate NAME [HOST...] [by=NAME]  makes an authority, or a server's certificate: NAME.crt,
//	                                NAME.key, and the same in base64 with .b64
//	secret NAME KEY=VALUE...        makes a secret of the user and keeps its ID as $NAME, or a revision of
//	                                it; KEY=@FILE is what the file holds
//	grant NAME, revoke NAME         lets the application read the secret, or ends that
//	remove-secret NAME              removes the secret
//	conceals UNIT TEXT...           fails if the log, an argument or a container shows a text
//	remove-unit UNIT                removes the unit and waits until it is gone
package script

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"

	"docker-registry-operator/tests/juju"
	"docker-registry-operator/tests/machine"
	"docker-registry-operator/tests/provider"
)

// patience bounds each command. It leaves room for a busy machine of two cores.
const patience = 3 * time.Minute

// world is the key of a script's state among its values.
type worldKey struct{}

// A world is what one script has made.
type world struct {
	network  *machine.Network
	model    *juju.Model
	app      *juju.Application   // the one deployed last
	apps     []*juju.Application // all
	machines map[string]*machine.Machine
	units    map[string]*juju.Unit
	hooks    map[string]int
	logs     map[string]int
	receiver *receiver

	providers map[string]*provider.Provider
	secrets   map[string]*juju.Secret
}

// Setup prepares a script and sees to it that nothing of it is left. It is for testscript.Params.
func Setup(env *testscript.Env) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	network, err := machine.NewNetwork()
	if err != nil {
		return err
	}
	w := &world{
		network: network, machines: map[string]*machine.Machine{}, units: map[string]*juju.Unit{},
		hooks: map[string]int{}, logs: map[string]int{}, providers: map[string]*provider.Provider{}, secrets: map[string]*juju.Secret{},
	}
	env.Defer(func() {
		if err := w.close(); err != nil {
			env.T().Log(err)
			env.T().FailNow()
		}
	})
	env.Values[worldKey{}] = w
	w.model, err = juju.NewModel(ctx, network)
	return err
}

func (w *world) close() error {
	var errs []error
	if w.receiver != nil {
		errs = append(errs, w.receiver.server.Close())
	}
	if w.model != nil {
		errs = append(errs, w.model.Close())
	}
	for _, m := range w.machines {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, w.network.Close())...)
}

// A command does one thing to a world and returns what is to be printed. An error is the command's
// failure, which a script may expect.
type command struct {
	least, most int
	run         func(ctx context.Context, w *world, ts *testscript.TestScript, args []string) (string, error)
}

// many is the number of arguments of a command that takes as many as there are.
const many = 1 << 20

// Commands returns the commands for testscript.Params.
func Commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	commands := make(map[string]func(*testscript.TestScript, bool, []string))
	for _, table := range []map[string]command{deployment(), relations(), observation(), disturbance(), files(), requests(), providers(), secrets()} {
		for name, c := range table {
			commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
				c.call(ts, name, neg, args)
			}
		}
	}
	return commands
}

func (c command) call(ts *testscript.TestScript, name string, neg bool, args []string) {
	if len(args) < c.least || len(args) > c.most {
		ts.Fatalf("usage: see %s in package script", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := c.run(ctx, ts.Value(worldKey{}).(*world), ts, args)
	_, _ = fmt.Fprint(ts.Stdout(), out)
	switch {
	case err != nil && neg:
		_, _ = fmt.Fprintln(ts.Stderr(), err)
	case err != nil:
		ts.Fatalf("%v", err)
	case neg:
		ts.Fatalf("unexpected success of %s", name)
	}
}

var errNothingDeployed = errors.New("nothing is deployed")

func (w *world) application() (*juju.Application, error) {
	if w.app == nil {
		return nil, errNothingDeployed
	}
	return w.app, nil
}

// unit finds a unit, also one that is gone.
func (w *world) unit(name string) (*juju.Unit, error) {
	for _, app := range w.apps {
		for _, u := range app.Units() {
			w.units[u.Name()] = u
		}
	}
	if u, ok := w.units[name]; ok {
		return u, nil
	}
	return nil, fmt.Errorf("there is no unit %s", name)
}

// pairs splits KEY=VALUE arguments from the others.
func pairs(args []string) (values map[string]string, others []string) {
	values = make(map[string]string)
	for _, arg := range args {
		if key, value, ok := strings.Cut(arg, "="); ok {
			values[key] = value
			continue
		}
		others = append(others, arg)
	}
	return values, others
}

// typed reads parameters as juju run does: each value is YAML.
func typed(values map[string]string) (map[string]any, error) {
	parameters := make(map[string]any, len(values))
	for key, text := range values {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("cannot read parameter %s: %w", key, err)
		}
		parameters[key] = value
	}
	return parameters, nil
}
