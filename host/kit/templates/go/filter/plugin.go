// Drops events of noisy releases.
package main

import (
	"errors"

	"tamis.dev/plugin"
)

// Config is the stage's configuration.
type Config struct {
	Releases []string `json:"releases"`
}

// Filter knows the noisy releases.
type Filter struct {
	noisy map[string]bool
}

// New makes a filter with that configuration. Its errors begin with the path of the key that is wrong.
func New(config Config) (*Filter, error) {
	if len(config.Releases) == 0 {
		return nil, errors.New("releases: it is missing or empty")
	}
	noisy := make(map[string]bool)
	for _, release := range config.Releases {
		noisy[release] = true
	}
	return &Filter{noisy}, nil
}

// Filter decides about one event.
func (f *Filter) Filter(event plugin.Event) plugin.Verdict {
	if f.noisy[event.Text("release")] {
		return plugin.Drop("noisy-release")
	}
	return plugin.Keep
}

func init() {
	plugin.ExportFilter(New)
}

// A component has no main: the host calls what init exports.
func main() {}
