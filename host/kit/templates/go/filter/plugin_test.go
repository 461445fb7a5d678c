package main

import (
	"slices"
	"testing"

	"tamis.dev/plugin"
	"tamis.dev/plugin/plugintest"
)

func TestNoisyReleasesGo(t *testing.T) {
	got := plugintest.Filter(t, New, `{"releases": ["1.0"]}`, `{"release": "1.0"}`, `{"release": "1.1"}`, `{}`)
	want := []plugin.Verdict{plugin.Drop("noisy-release"), plugin.Keep, plugin.Keep}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                       "releases: it is missing or empty",
		`{"releases": ["1.0", 2]}`: "releases[1]: 2, where a string is expected",
		`{"release": ["1.0"]}`:     "release: unknown key, known are releases",
	} {
		if _, err := plugintest.Open(New, config); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
}
