package plugin

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"tamis.dev/plugin/internal/host"
)

// single is a source of one event with these texts, in which every list has one item.
func single(lists *host.Arena, texts map[string]string) host.Source {
	return host.Source{Lists: lists, Pull: func(op, path string) []byte {
		if op == "len" || op == "counts" {
			return binary.LittleEndian.AppendUint32([]byte{1, 0, 0, 0}, 1)
		}
		raw := []byte{1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0}
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(texts[path])))
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(texts[path])))
		return append(raw, texts[path]...)
	}}
}

// The text of the second batch lies where that of the first one was. A path that is such a text must not be taken for the other.
func TestAPathThatIsATextOfTheBatch(t *testing.T) {
	b, lists := &batch{}, &host.Arena{}
	var first string
	for i := range 5 {
		key := fmt.Sprintf("key %d", i)
		b.begin(single(lists, map[string]string{"key": key, key: "value of " + key, key + ".*.x": "item of " + key}))
		event := Event{Item{b, ofEvents, 0}}
		text := event.Text("key")
		if i == 0 {
			first = text
		}
		if unsafe.StringData(text) != unsafe.StringData(first) {
			t.Fatal("the texts do not lie at the same address, so this test tests nothing")
		}
		for range 2 {
			if got := event.Text(text); got != "value of "+key {
				t.Errorf("%s: %q", key, got)
			}
			if got := event.Items(text).At(0).Text("x"); got != "item of "+key {
				t.Errorf("%s: %q", key, got)
			}
		}
	}
}

func TestColumnsOfPathsThatDoNotComeAgainAreForgotten(t *testing.T) {
	b, lists := &batch{}, &host.Arena{}
	for i := range 10 * columnsMax {
		b.begin(single(lists, map[string]string{"a": "b"}))
		event := Event{Item{b, ofEvents, 0}}
		if event.Text(fmt.Sprint("path ", i)) != "" || event.Text("a") != "b" {
			t.Fatal("a wrong text")
		}
		if len(b.columns) > columnsMax+2 {
			t.Fatalf("%d columns are kept", len(b.columns))
		}
	}
}

func TestACallOfUsualSizeAllocatesNothing(t *testing.T) {
	source := single(&host.Arena{}, map[string]string{"release": "1", "environment": "prod"})
	// The reader of a test allocates; what the host writes does not.
	raw := map[string][]byte{}
	for _, path := range []string{"release", "environment", "transaction"} {
		raw[path] = source.Pull("strings", path)
	}
	length := source.Pull("len", "")
	source.Pull = func(op, path string) []byte {
		if op == "len" {
			return length
		}
		return raw[path]
	}
	b, answer := &batch{}, &verdicts{}
	var plugin Filter = threeTexts{}
	call := func() {
		b.begin(source)
		answer.run(plugin, b)
	}
	call()
	if made := testing.AllocsPerRun(100, call); made != 0 {
		t.Errorf("%v allocations in a call", made)
	}
	if len(answer.verdicts) != 1 || answer.reasons.clean[0] != "prod" {
		t.Errorf("%+v", answer)
	}
}

type threeTexts struct{}

func (threeTexts) Filter(event Event) Verdict {
	if event.Text("release") == "2" || event.Text("transaction") != "" {
		return Keep
	}
	return Drop(event.Text("environment"))
}

// What one huge call needed is not held by the columns that it filled.
func TestAHugeCallIsForgotten(t *testing.T) {
	b, lists := &batch{}, &host.Arena{}
	b.begin(single(lists, map[string]string{"a": strings.Repeat("x", 40<<20)}))
	event := Event{Item{b, ofEvents, 0}}
	if len(event.Text("a")) != 40<<20 {
		t.Fatal("the text is cut")
	}
	b.begin(single(lists, nil))
	for _, column := range b.columns {
		if column.data != "" || column.presence != nil {
			t.Errorf("the column of %q holds %d bytes", column.path, len(column.data))
		}
	}
}
