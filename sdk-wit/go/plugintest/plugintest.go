// Package plugintest runs plugins on your machine, in go test, without WebAssembly:
//
//	func TestNoisyReleasesGo(t *testing.T) {
//		got := plugintest.Filter(t, New, `{"releases": ["1.0"]}`, `{"release": "1.0"}`, `{"release": "1.1"}`)
//		want := []plugin.Verdict{plugin.Drop("noisy-release"), plugin.Keep}
//		if !slices.Equal(got, want) {
//			t.Errorf("got %v, want %v", got, want)
//		}
//	}
//
// What the plugin reads comes from the tamis binary (the variable TAMIS says where it is, else it is looked for on PATH), so that
// paths and selectors mean exactly what they mean in production. Events are golden events: beside the client's JSON they may have the keys
// $meta and $trace.
//
// Each function makes two calls with the same events and the same instance. Texts of the first one are overwritten before the second one,
// as they are in a component, and the answers must be the same: a plugin that keeps a text without [strings.Clone], or whose answers depend on
// earlier batches, fails its test.
package plugintest

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"tamis.dev/plugin"
	"tamis.dev/plugin/internal/config"
	"tamis.dev/plugin/internal/harness"
)

// Open makes an instance as the host does, with a configuration in JSON. It is what a refused configuration is tested with.
func Open[C, P any](open func(C) (P, error), configJSON string) (instance P, err error) {
	var read C
	if err := config.Parse(configJSON, &read); err != nil {
		return instance, err
	}
	return open(read)
}

// Filter gives the verdicts on a batch of these events.
func Filter[C any, P plugin.Filter](t testing.TB, open func(C) (P, error), config string, events ...string) []plugin.Verdict {
	t.Helper()
	return twice(t, harness.Filter(mustOpen(t, open, config)), newBatch(t, events)).([]plugin.Verdict)
}

// Sample gives the rates of these events.
func Sample[C any, P plugin.Sampler](t testing.TB, open func(C) (P, error), config string, events ...string) []plugin.Rate {
	t.Helper()
	return twice(t, harness.Sample(mustOpen(t, open, config)), newBatch(t, events)).([]plugin.Rate)
}

// Fingerprint is one fingerprint of an event.
type Fingerprint = harness.FingerprintOf

// Fingerprints gives the fingerprints of each of these events.
func Fingerprints[C any, P plugin.Fingerprinter](
	t testing.TB, open func(C) (P, error), config string, events ...string,
) [][]Fingerprint {
	t.Helper()
	return twice(t, harness.Fingerprint(mustOpen(t, open, config)), newBatch(t, events)).([][]Fingerprint)
}

// Edited is a value that a scrubber edits.
type Edited struct {
	// Event is the place of the event in the batch.
	Event int
	// Path has * for elements of arrays.
	Path string
	// After is the text that is left, and null if the whole value is removed.
	After string
	// Rule asked for it. Of several edits of a value, all rules stand here, with commas between.
	Rule string
}

// Scrub gives what a scrubber makes of a batch of these events, in their order.
func Scrub[C any, P plugin.Scrubber](t testing.TB, open func(C) (P, error), config string, events ...string) []Edited {
	t.Helper()
	call, selectors := harness.Scrub(mustOpen(t, open, config))
	batch := newBatch(t, events)
	// Ids of leaves are those of one process of the binary: all selectors are pulled in one.
	batch.pullLeaves(selectors)
	return batch.edited(twice(t, call, batch).([]harness.Edit), selectors)
}

// Events reads a file of golden events, one or an array of them.
func Events(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return []string{string(text)}
	}
	events := make([]string, len(all))
	for i, event := range all {
		events[i] = string(event)
	}
	return events
}

func mustOpen[C, P any](t testing.TB, open func(C) (P, error), config string) P {
	t.Helper()
	instance, err := Open(open, config)
	if err != nil {
		t.Fatalf("the configuration is refused: %v", err)
	}
	return instance
}

func twice(t testing.TB, call harness.Call, batch *batch) any {
	t.Helper()
	first := call(batch.source)
	if again := call(batch.source); !reflect.DeepEqual(first, again) {
		t.Errorf("the same events get another answer in a second call (a text that is kept without strings.Clone?)\nfirst  %+v\nsecond %+v",
			first, again)
	}
	return first
}
