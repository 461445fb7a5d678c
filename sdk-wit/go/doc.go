// Package plugin is for plugins of Tamis in Go: a type with one method, and a call that exports it.
//
//	package main
//
//	import (
//		"slices"
//
//		"tamis.dev/plugin"
//	)
//
//	type Config struct {
//		Releases []string `json:"releases"`
//	}
//
//	type DropNoisy struct{ releases []string }
//
//	func New(config Config) (*DropNoisy, error) {
//		return &DropNoisy{config.Releases}, nil
//	}
//
//	func (d *DropNoisy) Filter(event plugin.Event) plugin.Verdict {
//		if slices.Contains(d.releases, event.Text("release")) {
//			return plugin.Drop("noisy-release")
//		}
//		return plugin.Keep
//	}
//
//	func init() { plugin.ExportFilter(New) }
//
//	func main() {} // never called
//
// There are four kinds of plugins, each with its interface: [Filter], [Sampler], [Scrubber] and [Fingerprinter]. All have a configuration,
// which is JSON and read into a type of yours, and state, which is your type: it lives as long as the instance does, over many batches.
//
// # Reading an event
//
// [Event] names values by paths: event.Text("user.email"), event.Number("measurements.lcp.value"), event.Tag("region"),
// event.Text("$meta.environment"). Lists are walked by [Item.Items], and exceptions and their frames by [Event.Exceptions] and [Item.Frames].
// The host calls a plugin once for a batch of some hundred events. The first time that a path is asked for, its values for all events of
// the batch come over in one piece; from then on a value costs some nanoseconds.
//
// # What is valid for how long
//
// Texts are the host's own column, not copied, and valid until the call ends. Then the memory is used for the next batch: a text that was kept
// changes under the hands of who kept it. Copy what you keep with [strings.Clone], keys of maps included. Package plugintest finds plugins
// that forget it.
//
// # What there is not
//
// A component has no clock (time.Now gives a made-up time; use [Event.ReceivedAt]), no randomness (math/rand begins the same each time), no
// network, files, environment or arguments. Goroutines run only while a call does, on one thread; one that is waited for is fine, others are best left alone, and only the
// goroutine of the call may use what it was given. A panic, once it is in the host's log with its stack, ends the call, and so do os.Exit, a deadlock and
// an error of the runtime: the host finds the event that did it, applies the stage's failure policy to it alone, and goes on with a fresh instance.
package plugin
