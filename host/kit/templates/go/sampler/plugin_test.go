package main

import (
	"slices"
	"testing"

	"tamis.dev/plugin"
	"tamis.dev/plugin/plugintest"
)

func TestEnvironmentsHaveRates(t *testing.T) {
	got := plugintest.Sample(t, New, `{"rates": {"staging": 0.1}}`,
		`{"environment": "staging"}`, `{"environment": "production"}`, `{}`)
	want := []plugin.Rate{plugin.SampleAt(0.1, "staging"), plugin.KeepAll, plugin.KeepAll}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for config, want := range map[string]string{
		`{"rates": {"staging": 2}}`:      "rates.staging: 2, where a number from 0 to 1 is expected",
		`{"rates": {"staging": "some"}}`: "rates.staging: a string, where a number is expected",
	} {
		if _, err := plugintest.Open(New, config); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
}
