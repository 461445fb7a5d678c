// Package harness is how package plugintest reaches what package plugin does not show.
package harness

import "tamis.dev/plugin/internal/host"

// Each of them takes an instance and gives a function that makes one call after the other, as the host does, and answers with what
// plugintest shows. Package plugin sets them.
var (
	Filter      func(plugin any) Call
	Sample      func(plugin any) Call
	Fingerprint func(plugin any) Call
	Scrub       func(plugin any) (call Call, selectors []string)
)

// Call is one call for the batch of that source.
type Call func(source host.Source) any

// FingerprintOf is one fingerprint of an event.
type FingerprintOf struct {
	Kind        string
	Fingerprint string
}

// Edit is one edit as the host gets it.
type Edit struct {
	Leaf       uint32
	Op         uint8
	Start, End uint32
	Text       string
	Rule       string
}
