package main

import (
	"reflect"
	"testing"

	"tamis.dev/plugin/plugintest"
)

func raisedIn(function string) string {
	return `{"exception": {"values": [{"type": "ValueError", "stacktrace": {"frames": [{"function": "main"}, {"function": "` +
		function + `"}]}}]}}`
}

func TestTheFunctionCounts(t *testing.T) {
	got := plugintest.Fingerprints(t, New, `{}`, raisedIn("parse"), raisedIn("read"), raisedIn("parse"), `{}`)
	parse := []plugintest.Fingerprint{{Kind: "app", Fingerprint: "d608d6f03bb693b56d468118bd5a48a8"}}
	if !reflect.DeepEqual(got[0], parse) || !reflect.DeepEqual(got[2], parse) {
		t.Errorf("got %v and %v, want %v", got[0], got[2], parse)
	}
	if reflect.DeepEqual(got[1], parse) {
		t.Error("another function has the same fingerprint")
	}
	if got[3] != nil {
		t.Errorf("an event without an exception has %v", got[3])
	}
}

func TestMistakesAreNamed(t *testing.T) {
	want := "kind: 5, where a string is expected"
	if _, err := plugintest.Open(New, `{"kind": 5}`); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
