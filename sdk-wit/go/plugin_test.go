package plugin_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tamis.dev/plugin"
	"tamis.dev/plugin/plugintest"
)

// reading is a filter that answers with what it reads.
type reading struct {
	read func(event plugin.Event) string
}

func (r reading) Filter(event plugin.Event) plugin.Verdict {
	if text := r.read(event); text != "" {
		return plugin.Drop(text)
	}
	return plugin.Keep
}

func reasons(t testing.TB, read func(plugin.Event) string, events ...string) []string {
	t.Helper()
	open := func(struct{}) (reading, error) { return reading{read}, nil }
	var all []string
	for _, verdict := range plugintest.Filter(t, open, "{}", events...) {
		all = append(all, verdict.Reason())
	}
	return all
}

const full = `{
	"$meta": {"project_id": 42, "received_at": 1500, "environment": "prod"},
	"$trace": {"transaction": "/pay"},
	"release": "shop@4", "empty": "", "n": 1.5, "flag": true, "nested": {"a.b": [1, 2]},
	"tags": [["it's", "quoted"], ["empty", ""]],
	"user": {"id": "7", "email": "a@b.c", "username": "ann", "ip_address": "198.51.100.7"},
	"exception": {"values": [
		{"type": "A", "stacktrace": {"frames": [{"function": "f"}, {"lineno": 3}]}},
		{"type": "B"},
		{"stacktrace": {"frames": [{"function": "h", "vars": {"x": 1}}]}}
	]},
	"threads": {"values": [{"id": 9}]}
}`

func TestReading(t *testing.T) {
	for name, c := range map[string]struct {
		read func(e plugin.Event) any
		want any
	}{
		"Text":             {func(e plugin.Event) any { return e.Text("release") }, "shop@4"},
		"Text, none":       {func(e plugin.Event) any { return e.Text("x") }, ""},
		"Text, number":     {func(e plugin.Event) any { return e.Text("n") }, "1.5"},
		"Text, stars":      {func(e plugin.Event) any { return e.Text("exception.values.*.stacktrace.frames.*.vars.x") }, "1"},
		"Text, meta":       {func(e plugin.Event) any { return e.Text("$meta.environment") + e.Text("$trace.transaction") }, "prod/pay"},
		"LookupText":       {func(e plugin.Event) any { return two(e.LookupText("empty")) }, "{ true}"},
		"LookupText, none": {func(e plugin.Event) any { return two(e.LookupText("nested")) }, "{ false}"},
		"Texts":            {func(e plugin.Event) any { return pairs(e.Texts("exception.values.*.type")) }, "A:true B:true :false"},
		"Texts, deep": {
			func(e plugin.Event) any { return pairs(e.Texts("exception.values.*.stacktrace.frames.*.function")) },
			"f:true :false h:true",
		},
		"Number":          {func(e plugin.Event) any { return e.Number("n") }, 1.5},
		"LookupNumber":    {func(e plugin.Event) any { return two(e.LookupNumber("release")) }, "{0 false}"},
		"Number, stars":   {func(e plugin.Event) any { return e.Number("exception.values.*.stacktrace.frames.*.lineno") }, 3.0},
		"Flag":            {func(e plugin.Event) any { return e.Flag("flag") }, true},
		"LookupFlag":      {func(e plugin.Event) any { return two(e.LookupFlag("n")) }, "{false false}"},
		"JSON":            {func(e plugin.Event) any { return e.JSON("nested") }, `{"a.b": [1, 2]}`},
		"JSON, none":      {func(e plugin.Event) any { return e.JSON("x") }, ""},
		"Count":           {func(e plugin.Event) any { return e.Count("nested.'a.b'") }, 2},
		"Count, stars":    {func(e plugin.Event) any { return e.Count("exception.values.*.stacktrace.frames") }, 3},
		"Counts":          {func(e plugin.Event) any { return slices.Collect(e.Counts("exception.values.*.stacktrace.frames")) }, []int{2, 0, 1}},
		"Tag":             {func(e plugin.Event) any { return e.Tag("it's") }, "quoted"},
		"LookupTag":       {func(e plugin.Event) any { return two(e.LookupTag("empty")) }, "{ true}"},
		"LookupTag, none": {func(e plugin.Event) any { return two(e.LookupTag("a*b")) }, "{ false}"},
		"User": {func(e plugin.Event) any {
			u := e.User()
			return []string{u.ID(), u.Email(), u.Username(), u.IPAddress()}
		}, []string{"7", "a@b.c", "ann", "198.51.100.7"}},
		"ProjectID":  {func(e plugin.Event) any { return e.ProjectID() }, uint64(42)},
		"ReceivedAt": {func(e plugin.Event) any { return e.ReceivedAt() }, time.UnixMilli(1500).UTC()},
		"Threads":    {func(e plugin.Event) any { return e.Threads().At(0).Number("id") }, 9.0},
		"frames of exceptions": {func(e plugin.Event) any {
			var all []string
			for i, exception := range e.Exceptions().All() {
				for k, frame := range exception.Frames().Backward() {
					all = append(all, fmt.Sprintf("%d.%d %s %v %d", i, k, frame.Text("function"), frame.Number("lineno"), frame.Count("vars")))
				}
			}
			return all
		}, []string{"0.1  3 0", "0.0 f 0 0", "2.0 h 0 1"}},
		"Items, stars": {func(e plugin.Event) any {
			frames := e.Items("exception.values.*.stacktrace.frames")
			last, found := frames.Last()
			return []any{frames.Len(), last.Text("function"), found, frames.At(1).Text("lineno")}
		}, []any{3, "h", true, "3"}},
		"Texts of an item": {func(e plugin.Event) any {
			return pairs(e.Exceptions().At(0).Texts("stacktrace.frames.*.function"))
		}, "f:true :false"},
	} {
		// The event before and the one after it have nothing, so that a wrong row shows.
		want := fmt.Sprintf("%#v", c.want)
		got := reasons(t, func(e plugin.Event) string {
			if e.Text("release") == "" {
				return ""
			}
			return fmt.Sprintf("%d %#v", e.Index(), c.read(e))
		}, `{"exception": {"values": [{}]}}`, full, "{}")
		if !slices.Equal(got, []string{"", "1 " + want, ""}) {
			t.Errorf("%s: %q, not %s", name, got, want)
		}
	}
}

func two(a, b any) string {
	return fmt.Sprint(struct{ a, b any }{a, b})
}

func pairs(all func(yield func(text string, found bool) bool)) string {
	var texts []string
	for text, found := range all {
		texts = append(texts, fmt.Sprintf("%s:%v", text, found))
	}
	return strings.Join(texts, " ")
}

func TestEmptyLists(t *testing.T) {
	got := reasons(t, func(e plugin.Event) string {
		_, found := e.Exceptions().Last()
		for range e.Exceptions().Backward() {
			return "an exception"
		}
		return fmt.Sprint(e.Exceptions().Len(), found)
	}, "{}", "{}")
	if !slices.Equal(got, []string{"0 false", "0 false"}) {
		t.Errorf("%q", got)
	}
}

// Paths, keys and reasons are made of the texts of events here: whatever the SDK kept of them would be overwritten in the second call, in
// which paths that were text of an event have the same address and another content.
func TestNothingOfABatchIsKept(t *testing.T) {
	var events []string
	for i := range 200 {
		events = append(events, fmt.Sprintf(`{"key": "k%d", "k%d": "v%d", "tags": {"k%d": "t%d"}, "l": [{"k%d": 1}]}`, i, i, i, i, i, i))
	}
	orders := 0
	read := func(e plugin.Event) string {
		key := e.Text("key")
		orders++
		if orders%3 == 0 {
			// The columns are asked for in another order, so that none is where it is guessed to be.
			return e.Text(key) + e.Tag(key) + e.Items("l").At(0).Text(key)
		}
		tag, item := e.Tag(key), e.Items("l").At(0).Text(key)
		return e.Text(key) + tag + item
	}
	for i, got := range reasons(t, read, events...) {
		if want := fmt.Sprintf("v%dt%d1", i, i); got != want {
			t.Errorf("event %d: %q, not %q", i, got, want)
		}
	}
}

// complaints is a test that may fail.
type complaints struct {
	testing.TB
	said string
}

func (c *complaints) Errorf(format string, args ...any) { c.said += fmt.Sprintf(format, args...) }

func TestAPluginThatKeepsATextFails(t *testing.T) {
	for _, clone := range []bool{true, false} {
		kept := ""
		said := &complaints{TB: t}
		reasons(said, func(e plugin.Event) string {
			if kept == "" {
				kept = e.Text("release")
				if clone {
					kept = strings.Clone(kept)
				}
			}
			return kept
		}, `{"release": "1.0"}`)
		if (said.said == "") != clone {
			t.Errorf("clone %v: %q", clone, said.said)
		}
	}
}

func TestWhatTheHostRefusesPanics(t *testing.T) {
	for want, read := range map[string]func(plugin.Event) string{
		"the host ends the call: ":                     func(e plugin.Event) string { return e.Text("a..b") },
		"plugin: item 1 of 1":                          func(e plugin.Event) string { return e.Items("l").At(1).Text("a") },
		"plugin: item -1 of 1":                         func(e plugin.Event) string { return e.Items("l").At(-1).Text("a") },
		"plugin: the reason to drop an event is empty": func(plugin.Event) string { return plugin.Drop("").Reason() },
	} {
		if got := panicOf(func() { reasons(t, read, `{"l": [1]}`) }); !strings.HasPrefix(got, want) {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func panicOf(run func()) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	run()
	return ""
}

type rate struct {
	Rate float64 `json:"rate"`
	Rule string  `json:"rule"`
}

func (r rate) Sample(plugin.Event) plugin.Rate { return plugin.SampleAt(r.Rate, r.Rule) }

func TestRates(t *testing.T) {
	open := func(config rate) (rate, error) { return config, nil }
	for config, want := range map[string]plugin.Rate{
		`{"rate": 0.1, "rule": "r"}`: plugin.SampleAt(0.1, "r"),
		`{"rate": 7, "rule": "r"}`:   plugin.SampleAt(1, "r"),
		`{"rate": -1}`:               plugin.SampleAt(0, ""),
		`{"rate": 1}`:                plugin.KeepAll,
	} {
		if got := plugintest.Sample(t, open, config, "{}", "{}"); !slices.Equal(got, []plugin.Rate{want, want}) {
			t.Errorf("%s: %v", config, got)
		}
	}
}

// byMessage groups by the message, in both of the kinds.
type byMessage struct {
	hash func(event plugin.Event) string
}

func (b byMessage) Fingerprint(event plugin.Event, out *plugin.Fingerprints) {
	if event.Text("message") != "" {
		out.Push("app", b.hash(event))
		out.Push("system", event.Text("message"))
	}
}

func TestFingerprints(t *testing.T) {
	open := func(struct{}) (byMessage, error) {
		return byMessage{func(e plugin.Event) string { return plugin.HashOf("a", e.Text("message")) }}, nil
	}
	got := plugintest.Fingerprints(t, open, "{}", `{"message": "b"}`, "{}", `{"message": "b"}`)
	one := []plugintest.Fingerprint{{Kind: "app", Fingerprint: "aa3a791e273bce9cf4a2a7caa9028b36"}, {Kind: "system", Fingerprint: "b"}}
	if want := [][]plugintest.Fingerprint{one, nil, one}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if plugin.HashOf("a", "bc") == plugin.HashOf("ab", "c") {
		t.Error("parts run into each other")
	}
	long := func(struct{}) (byMessage, error) {
		return byMessage{func(plugin.Event) string { return strings.Repeat("x", 65) }}, nil
	}
	if got := panicOf(func() { plugintest.Fingerprints(t, long, "{}", `{"message": "b"}`) }); !strings.Contains(got, "not 65") {
		t.Errorf("%q", got)
	}
}

type scrubber struct {
	selectors []string
	scrub     func(leaf plugin.Leaf, edits *plugin.Edits)
}

func (s scrubber) Selectors() []string                         { return s.selectors }
func (s scrubber) Scrub(leaf plugin.Leaf, edits *plugin.Edits) { s.scrub(leaf, edits) }

func scrub(t testing.TB, s plugin.Scrubber, events ...string) []plugintest.Edited {
	t.Helper()
	return plugintest.Scrub(t, func(struct{}) (plugin.Scrubber, error) { return s, nil }, "{}", events...)
}

func TestEdits(t *testing.T) {
	mine := scrubber{[]string{"user.*", "$number || **.name"}, func(leaf plugin.Leaf, edits *plugin.Edits) {
		switch leaf.Path {
		case "user.name":
			edits.Mask(leaf.Span(1, len(leaf.Text)), '*', "@name:mask")
		case "user.id":
			edits.Hash(leaf.Whole(), leaf.Event().Tag("salt"), "@id:hash")
		case "user.email":
			edits.Replace(leaf.Span(3, 4), "(at)", "@at:replace")
			edits.Remove(leaf.Span(0, 1), "@first:remove")
		case "n":
			edits.Remove(leaf.Span(0, 1), "@number:remove")
		}
	}}
	got := scrub(t, mine, "{}", `{"n": 12, "tags": {"salt": "s"}, "user": {"name": "zoé", "id": "7", "email": "ann@b"}}`)
	want := []plugintest.Edited{
		{Event: 1, Path: "n", After: "null", Rule: "@number:remove"},
		{Event: 1, Path: "user.name", After: "z**", Rule: "@name:mask"},
		{Event: 1, Path: "user.id", After: "2491C64C59ACF1D53EF5D4AAB8C615D865D3E0DB", Rule: "@id:hash"},
		{Event: 1, Path: "user.email", After: "nn(at)b", Rule: "@first:remove,@at:replace"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

type inOnePass struct{ scrubber }

func (inOnePass) ScrubAll(leaves plugin.Leaves, edits *plugin.Edits) {
	for at := 0; ; {
		found := strings.Index(leaves.Data()[at:], "secret")
		if found < 0 {
			return
		}
		at += found
		number := leaves.LeafAt(at)
		start := at - int(leaves.Offsets()[number])
		edits.Replace(leaves.At(number).Span(start, start+6), "x", "@secret:replace")
		at += 6
	}
}

func TestScrubbingInOnePass(t *testing.T) {
	got := scrub(t, inOnePass{scrubber{selectors: []string{"**"}}}, `{"a": "", "b": "a secret"}`, `{"a": "secret secret"}`)
	want := []plugintest.Edited{
		{Event: 0, Path: "b", After: "a x", Rule: "@secret:replace"},
		{Event: 1, Path: "a", After: "x x", Rule: "@secret:replace,@secret:replace"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestALeafOfAnEarlierCallIsRefused(t *testing.T) {
	var kept *plugin.Span
	mine := scrubber{[]string{"a"}, func(leaf plugin.Leaf, edits *plugin.Edits) {
		if kept == nil {
			span := leaf.Whole()
			kept = &span
		}
		edits.Remove(*kept, "@a:remove")
	}}
	if got := panicOf(func() { scrub(t, mine, `{"a": "b"}`) }); got != "plugin: an edit of a leaf of an earlier call" {
		t.Errorf("%q", got)
	}
}

func TestConfigurationsAreRefusedWithTheirPath(t *testing.T) {
	open := func(config rate) (rate, error) {
		if config.Rate > 1 {
			return config, errors.New("rate: more than 1")
		}
		return config, nil
	}
	for config, want := range map[string]string{
		`{"rate": 2}`:   "rate: more than 1",
		`{"rate": "a"}`: "rate: a string, where a number is expected",
		`{"rat": 1}`:    "rat: unknown key, known are rate, rule",
	} {
		if _, err := plugintest.Open(open, config); err == nil || err.Error() != want {
			t.Errorf("%s: %v", config, err)
		}
	}
}
