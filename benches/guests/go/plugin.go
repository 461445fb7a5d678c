// The filter of benches/guest in Go: it looks at three strings of every event.
package main

import "tamis.dev/plugin"

type threeStrings struct{}

func (threeStrings) Filter(event plugin.Event) plugin.Verdict {
	if event.Text("release") == "0.0.0" || event.Text("environment") == "sandbox" || event.Text("transaction") == "/never" {
		return plugin.Drop("bench")
	}
	return plugin.Keep
}

func init() {
	plugin.ExportFilter(func(struct{}) (threeStrings, error) { return threeStrings{}, nil })
}

func main() {}
