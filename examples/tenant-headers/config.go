package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is the stage's configuration.
type Config struct {
	Tenant Source `json:"tenant"`
	// Key is what values are hashed under.
	Key string `json:"key"`
	// Default holds for headers that an event's tenant has no rule for, and for events without a tenant.
	Default Rules            `json:"default"`
	Tenants map[string]Rules `json:"tenants"`
}

// Source is where the name of an event's tenant stands: one of the two.
type Source struct {
	Tag string `json:"tag"`
	// User is an attribute of the user.
	User string `json:"user"`
}

// Rules say what becomes of headers, by their names.
type Rules map[string]Action

// Action is what becomes of the value of a header.
type Action uint8

// The actions. The first one is that of headers without a rule.
const (
	Keep Action = iota
	Remove
	Mask
	Hash
)

var actions = []string{"keep", "remove", "mask", "hash"}

// UnmarshalText reads an action by its name.
func (a *Action) UnmarshalText(text []byte) error {
	at := slices.Index(actions, string(text))
	if at < 0 {
		return fmt.Errorf("%q, where one of %s is expected", text, strings.Join(actions, ", "))
	}
	*a = Action(at)
	return nil
}

func (c *Config) check() error {
	if (c.Tenant.Tag == "") == (c.Tenant.User == "") {
		return errors.New("tenant: one of tag and user is expected")
	}
	if err := checkNames("default", c.Default); err != nil {
		return err
	}
	for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
		if err := checkNames("tenants."+tenant, c.Tenants[tenant]); err != nil {
			return err
		}
	}
	if c.Key == "" && slices.Contains(slices.Collect(c.actions()), Hash) {
		return errors.New("key: it is missing, and values are hashed under it")
	}
	return nil
}

// checkNames refuses rules that name one header twice.
func checkNames(path string, rules Rules) error {
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		lower := strings.ToLower(name)
		if name == "" || seen[lower] {
			return fmt.Errorf("%s.%s: a header is named twice, or not at all", path, name)
		}
		seen[lower] = true
	}
	return nil
}

// actions are those of all rules.
func (c *Config) actions() func(yield func(Action) bool) {
	return func(yield func(Action) bool) {
		for _, rules := range append(slices.Collect(maps.Values(c.Tenants)), c.Default) {
			for _, action := range rules {
				if !yield(action) {
					return
				}
			}
		}
	}
}
