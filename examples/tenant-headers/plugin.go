// Tenant-headers removes, masks or hashes headers of requests, each tenant's by its own rules.
package main

import (
	"maps"
	"slices"
	"strings"

	"tamis.dev/plugin"
)

// TenantHeaders knows what becomes of which header.
type TenantHeaders struct {
	tenant Source
	key    string
	// headers are all that a rule names, in lower case.
	headers []string
	// Actions are by number of the header.
	byDefault []Action
	tenants   map[string][]Action
}

// New makes a scrubber with that configuration.
func New(config Config) (*TenantHeaders, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, rules := range append(slices.Collect(maps.Values(config.Tenants)), config.Default) {
		for name := range rules {
			names[strings.ToLower(name)] = true
		}
	}
	t := &TenantHeaders{
		tenant:  config.Tenant,
		key:     config.Key,
		headers: slices.Sorted(maps.Keys(names)),
		tenants: make(map[string][]Action),
	}
	t.byDefault = t.actions(make([]Action, len(t.headers)), config.Default)
	for tenant, rules := range config.Tenants {
		t.tenants[tenant] = t.actions(t.byDefault, rules)
	}
	return t, nil
}

// actions puts rules over those that hold without them.
func (t *TenantHeaders) actions(without []Action, rules Rules) []Action {
	actions := slices.Clone(without)
	for name, action := range rules {
		at, _ := slices.BinarySearch(t.headers, strings.ToLower(name))
		actions[at] = action
	}
	return actions
}

// Selectors are one for each header, so that a leaf says by itself which header it is of. A header may have a list of values.
func (t *TenantHeaders) Selectors() []string {
	var selectors []string
	for _, header := range t.headers {
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(header)
		selectors = append(selectors, "request.headers.'"+quoted+"'.** && ($string || $number || $boolean)")
	}
	return selectors
}

// Scrub looks at the value of one header.
func (t *TenantHeaders) Scrub(leaf plugin.Leaf, edits *plugin.Edits) {
	tenant := t.tenantOf(leaf.Event())
	actions, known := t.tenants[tenant]
	if !known {
		actions = t.byDefault
	}
	switch actions[leaf.Selector] {
	case Remove:
		edits.Remove(leaf.Whole(), "@tenant-headers:remove")
	case Mask:
		edits.Mask(leaf.Whole(), '*', "@tenant-headers:mask")
	case Hash:
		// The same token at two tenants has two hashes: nobody shall learn that it is the same.
		edits.Hash(leaf.Whole(), t.key+"/"+tenant, "@tenant-headers:hash")
	}
}

func (t *TenantHeaders) tenantOf(event plugin.Event) string {
	if t.tenant.Tag != "" {
		return event.Tag(t.tenant.Tag)
	}
	return event.Text("user." + t.tenant.User)
}

func init() {
	plugin.ExportScrubber(New)
}

func main() {}
