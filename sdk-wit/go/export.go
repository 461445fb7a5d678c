package plugin

import (
	"errors"
	"fmt"
	"strings"

	"tamis.dev/plugin/internal/config"
)

// exported is the plugin of this program: one, of one kind.
var exported struct {
	kind string
	// open makes the instance and keeps it in one of those below.
	open          func(json string) error
	filter        Filter
	sampler       Sampler
	scrubbing     scrubbing
	fingerprinter Fingerprinter
}

// ExportFilter makes the program a filter. Call it in func init: what makes the instance is called by the host, with the
// stage's configuration read from JSON into a C, like all Export functions. Its error refuses the configuration and is
// shown to the operator: begin it with the path of the key that is wrong, as in rules[0].id: …, and its line is shown too.
func ExportFilter[C any, P Filter](open func(C) (P, error)) {
	export("filter", open, func(plugin P) { exported.filter = plugin })
}

// ExportSampler makes the program a sampler.
func ExportSampler[C any, P Sampler](open func(C) (P, error)) {
	export("sampler", open, func(plugin P) { exported.sampler = plugin })
}

// ExportScrubber makes the program a scrubber.
func ExportScrubber[C any, P Scrubber](open func(C) (P, error)) {
	export("scrubber", open, func(plugin P) { exported.scrubbing = newScrubbing(plugin) })
}

// ExportFingerprinter makes the program a fingerprinter.
func ExportFingerprinter[C any, P Fingerprinter](open func(C) (P, error)) {
	export("fingerprinter", open, func(plugin P) { exported.fingerprinter = plugin })
}

func export[C, P any](kind string, open func(C) (P, error), keep func(P)) {
	if exported.kind != "" {
		panic(fmt.Sprintf("plugin: a %s and a %s are exported, and a program is one plugin", exported.kind, kind))
	}
	exported.kind = kind
	exported.open = func(json string) error {
		plugin, err := opened(json, open)
		if err == nil {
			keep(plugin)
		}
		return err
	}
}

// opened makes an instance with that configuration.
func opened[C, P any](json string, open func(C) (P, error)) (plugin P, err error) {
	var read C
	if err := config.Parse(json, &read); err != nil {
		return plugin, err
	}
	return open(read)
}

// openAs makes the instance for a host that takes the component for one of that kind.
func openAs(kind, json string) error {
	if exported.kind == "" {
		return errors.New("the program exports no plugin: call plugin.ExportFilter(…) or the like in func init, not in func main")
	}
	if exported.kind != kind {
		return fmt.Errorf("the program exports a %s and was built as a %s: correct `kind` in plugin.toml", exported.kind, kind)
	}
	return exported.open(json)
}

// valid makes a text one that the host takes.
func valid(text string) string {
	return strings.ToValidUTF8(text, "\uFFFD")
}
