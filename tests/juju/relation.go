package juju

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/juju/charm/v12"
)

// life is how far an entity is from being gone.
type life string

const (
	alive life = "alive"
	dying life = "dying"
	dead  life = "dead"
)

// A Relation connects an endpoint of a deployed application with one that the test plays, or, for a
// peer relation, the application's units with each other.
type Relation struct {
	model       *Model
	application *Application
	endpoint    charm.Relation
	other       string
	id          int
	key         string

	// All below is under the model's lock.
	life life
	bags map[string]*databag
}

// A databag is what a unit, or an application, tells the others over a relation.
type databag struct {
	settings map[string]string
	version  int
	inScope  bool
}

// Relate relates an endpoint of the application to one of the same name of an application that the
// test plays. That has no units yet.
func (a *Application) Relate(endpoint, other string) (*Relation, error) {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	declared, ok := a.revision().archive.Meta().CombinedRelations()[endpoint]
	if !ok || declared.Role == charm.RolePeer {
		return nil, fmt.Errorf("cannot relate %s: no endpoint %q to relate", a.name, endpoint)
	}
	r := a.model.addRelation(a, declared, other)
	a.model.touch()
	return r, nil
}

// Relation returns the application's first relation at an endpoint, or nil.
func (a *Application) Relation(endpoint string) *Relation {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return a.relation(endpoint)
}

// Relations returns the application's relations, with its peers too, in the order in which they were
// made.
func (a *Application) Relations() []*Relation {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	return a.relationsOf()
}

// RelationWith returns the application's relation at an endpoint with an application that the test
// plays, or nil.
func (a *Application) RelationWith(endpoint, other string) *Relation {
	a.model.mu.Lock()
	defer a.model.mu.Unlock()
	for _, r := range a.relationsOf() {
		if r.endpoint.Name == endpoint && r.other == other {
			return r
		}
	}
	return nil
}

func (a *Application) relation(endpoint string) *Relation {
	for _, r := range a.model.relations {
		if r.application == a && r.endpoint.Name == endpoint {
			return r
		}
	}
	return nil
}

func (m *Model) addRelation(a *Application, endpoint charm.Relation, other string) *Relation {
	m.lastRelation++
	r := &Relation{
		model: m, application: a, endpoint: endpoint, other: other, id: m.lastRelation,
		key: a.name + ":" + endpoint.Name, life: alive, bags: map[string]*databag{},
	}
	if endpoint.Role != charm.RolePeer {
		r.key += " " + other + ":" + endpoint.Name
	}
	m.relations = append(m.relations, r)
	return r
}

// ID returns the relation's identity as hook tools print it, such as website:3.
func (r *Relation) ID() string { return r.endpoint.Name + ":" + strconv.Itoa(r.id) }

// Set changes what a unit or the application that the test plays tells. A unit that was not there
// joins. An empty value removes a key.
func (r *Relation) Set(name string, values map[string]string) error {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	if application, _, _ := strings.Cut(name, "/"); application != r.other {
		return fmt.Errorf("cannot set databag of %s: relation %s is with %s", name, r.ID(), r.other)
	}
	r.set(name, values)
	r.bag(name).inScope = true
	return nil
}

func (r *Relation) set(name string, values map[string]string) {
	bag := r.bag(name)
	if mergeSettings(bag.settings, values) {
		bag.version++
	}
	r.model.touch()
}

func (r *Relation) bag(name string) *databag {
	bag, ok := r.bags[name]
	if !ok {
		bag = &databag{settings: map[string]string{}}
		r.bags[name] = bag
	}
	return bag
}

// Get returns what a unit or an application tells.
func (r *Relation) Get(name string) map[string]string {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	if bag, ok := r.bags[name]; ok {
		return maps.Clone(bag.settings)
	}
	return nil
}

// Units returns what each unit of the deployed application that is in the relation tells, by its name.
func (r *Relation) Units() map[string]map[string]string {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	units := make(map[string]map[string]string)
	for name, bag := range r.bags {
		if application, _, isUnit := strings.Cut(name, "/"); isUnit && bag.inScope && application == r.application.name {
			units[name] = maps.Clone(bag.settings)
		}
	}
	return units
}

// Depart takes a unit that the test plays out of the relation.
func (r *Relation) Depart(unit string) {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	r.bag(unit).inScope = false
	r.model.touch()
}

// Remove ends the relation. It is gone once the application's units have taken leave of it.
func (r *Relation) Remove() {
	r.model.mu.Lock()
	defer r.model.mu.Unlock()
	r.life = dying
	r.removeIfLeft()
	r.model.touch()
}

// removeIfLeft forgets a dying relation that no unit of the application is in any more.
func (r *Relation) removeIfLeft() {
	if r.life == alive {
		return
	}
	for _, u := range r.application.units {
		if u.inScope[r.id] {
			return
		}
	}
	r.model.relations = slices.DeleteFunc(r.model.relations, func(other *Relation) bool { return other == r })
}

// visible lists the units whose coming, telling and going the unit is told of.
func (r *Relation) visible(to *Unit) []string {
	var units []string
	for name, bag := range r.bags {
		application, number, isUnit := strings.Cut(name, "/")
		switch {
		case !isUnit || !bag.inScope || application != r.other || name == to.name:
		case r.endpoint.Scope == charm.ScopeContainer && number != strconv.Itoa(to.number):
			// A subordinate sees its own principal only: they have the same number here.
		default:
			units = append(units, name)
		}
	}
	slices.Sort(units)
	return units
}
