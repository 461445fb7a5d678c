// Groups errors by the type of the last exception and the function that raised it; `kind` is how the fingerprint is called.
package main

import "tamis.dev/plugin"

// Config is the stage's configuration.
type Config struct {
	Kind string `json:"kind"`
}

// Fingerprinter knows how its fingerprints are called.
type Fingerprinter struct {
	kind string
}

// New makes a fingerprinter with that configuration. Its errors begin with the path of the key that is wrong.
func New(config Config) (*Fingerprinter, error) {
	if config.Kind == "" {
		config.Kind = "app"
	}
	return &Fingerprinter{config.Kind}, nil
}

// Fingerprint looks at one event. What has no exception is left to the next stage.
func (f *Fingerprinter) Fingerprint(event plugin.Event, out *plugin.Fingerprints) {
	exception, found := event.Exceptions().Last()
	if !found {
		return
	}
	if frame, found := exception.Frames().Last(); found {
		kind, function := exception.Text("type"), frame.Text("function")
		if kind != "" && function != "" {
			out.Push(f.kind, plugin.HashOf(kind, function))
		}
	}
}

func init() {
	plugin.ExportFingerprinter(New)
}

// A component has no main: the host calls what init exports.
func main() {}
