package main

import (
	"os"
	"slices"
	"testing"

	"tamis.dev/plugin/plugintest"
)

func TestEachTenantHasItsRules(t *testing.T) {
	config, err := os.ReadFile("tests/config.json")
	if err != nil {
		t.Fatal(err)
	}
	got := plugintest.Scrub(t, New, string(config), plugintest.Events(t, "tests/tenants.json")...)
	want := []plugintest.Edited{
		{Event: 0, Path: "request.headers.Authorization", After: "15BE564E091407C282CF04C820A710AEE0344EEA", Rule: "@tenant-headers:hash"},
		{Event: 0, Path: "request.headers.Cookie", After: "null", Rule: "@tenant-headers:remove"},
		{Event: 0, Path: "request.headers.X-Acme-User", After: "****", Rule: "@tenant-headers:mask"},
		{Event: 1, Path: "request.headers.authorization", After: "null", Rule: "@tenant-headers:remove"},
		{Event: 2, Path: "request.headers.Cookie.*", After: "null", Rule: "@tenant-headers:remove"},
		{Event: 2, Path: "request.headers.Cookie.*", After: "null", Rule: "@tenant-headers:remove"},
		{Event: 3, Path: "request.headers.Authorization", After: "null", Rule: "@tenant-headers:remove"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestHashesOfTenantsDiffer(t *testing.T) {
	config := `{"tenant": {"user": "org"}, "key": "k", "default": {"X-Token": "hash"}, "tenants": {}}`
	got := plugintest.Scrub(t, New, config,
		`{"user": {"org": "a"}, "request": {"headers": {"x-token": "1"}}}`,
		`{"user": {"org": "b"}, "request": {"headers": {"x-token": "1"}}}`,
		`{"user": {"org": "a"}, "request": {"headers": {"X-Token": "1"}}}`)
	if len(got) != 3 || got[0].After == got[1].After || got[0].After != got[2].After {
		t.Errorf("got %+v", got)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                                    "tenant: one of tag and user is expected",
		`{"tenant": {"tag": "a", "user": "b"}}`: "tenant: one of tag and user is expected",
		`{"tenant": {"tags": "a"}}`:             "tenant.tags: unknown key, known are tag, user",
		`{"tenants": {"acme": {"Via": "shred"}}}`:                               `tenants.acme.Via: "shred", where one of keep, remove, mask, hash is expected`,
		`{"default": {"Via": 1}}`:                                               "default.Via: 1, where a string is expected",
		`{"tenant": {"tag": "a"}, "default": {"Via": "hash"}}`:                  "key: it is missing, and values are hashed under it",
		`{"tenant": {"tag": "a"}, "default": {"Via": "mask", "via": "remove"}}`: "default.via: a header is named twice, or not at all",
	} {
		if _, err := plugintest.Open(New, config); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", config, err)
		}
	}
}
