package plugintest

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tamis.dev/plugin/internal/harness"
	"tamis.dev/plugin/internal/host"
)

// batch is a batch of golden events, and what was pulled of it.
type batch struct {
	t      testing.TB
	tamis  string
	events string
	pulled map[string][]byte
	source host.Source
}

func newBatch(t testing.TB, events []string) *batch {
	t.Helper()
	b := &batch{t: t, tamis: os.Getenv("TAMIS"), events: "[" + strings.Join(events, ",") + "]", pulled: make(map[string][]byte)}
	if b.tamis == "" {
		found, err := exec.LookPath("tamis")
		if err != nil {
			t.Fatal("plugintest needs the tamis binary: put it on PATH, or say where it is with TAMIS=/path/to/tamis")
		}
		b.tamis = found
	}
	b.source = host.Source{Pull: b.pull, Lists: &host.Arena{Poison: true}}
	return b
}

// pull gives the lists of one pull. Where the host would end the call with a trap, it panics with the host's message.
func (b *batch) pull(op, argument string) []byte {
	key := op + ":" + argument
	raw, known := b.pulled[key]
	if !known {
		raw = b.columns("--pull", key)
		b.pulled[key] = raw
	}
	return lists(raw)
}

// lists is what follows the status.
func lists(raw []byte) []byte {
	if raw[0] != 0 {
		panic(fmt.Sprintf("the host ends the call: %s", raw[5:]))
	}
	return raw[1:]
}

func (b *batch) columns(pulls ...string) []byte {
	command := exec.Command(b.tamis, append([]string{"plugin", "columns", "-", "--raw"}, pulls...)...)
	command.Stdin = strings.NewReader(b.events)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	raw, err := command.Output()
	if err != nil {
		b.t.Fatalf("%s plugin columns: %v\n%s\n%s", b.tamis, err, stderr.String(), b.events)
	}
	return raw
}

// pullLeaves pulls all of these selectors in one process.
func (b *batch) pullLeaves(selectors []string) {
	if len(selectors) == 0 {
		return
	}
	var pulls []string
	for _, selector := range selectors {
		pulls = append(pulls, "--pull", "leaves:"+selector)
	}
	raw := b.columns(pulls...)
	for _, selector := range selectors {
		size := sizeOfLeaves(raw)
		b.pulled["leaves:"+selector] = raw[:size]
		raw = raw[size:]
	}
}

// sizeOfLeaves is the size of the answer to one pull: a status, and one list or nine.
func sizeOfLeaves(raw []byte) int {
	elements := []int{4, 4, 1, 4, 4, 1, 4, 1, 4}
	if raw[0] != 0 {
		elements = []int{1}
	}
	size := 1
	for _, bytes := range elements {
		size += 4 + bytes*int(binary.LittleEndian.Uint32(raw[size:]))
	}
	return size
}

// edited applies the edits, of which those of one leaf follow each other in the order of their places.
func (b *batch) edited(edits []harness.Edit, selectors []string) []Edited {
	type leaf struct {
		Edited
		text string
	}
	leaves := make(map[uint32]leaf)
	own := host.Source{Pull: b.pull, Lists: &host.Arena{}}
	for _, selector := range selectors {
		list := own.Leaves(selector)
		for i, id := range list.IDs {
			path := list.Paths[i]
			leaves[id] = leaf{
				Edited{Event: int(list.Events[i]), Path: list.PathData[list.PathOffsets[path]:list.PathOffsets[path+1]]},
				list.Data[list.Offsets[i]:list.Offsets[i+1]],
			}
		}
	}
	slices.SortStableFunc(edits, func(a, b harness.Edit) int {
		return cmp.Or(cmp.Compare(a.Leaf, b.Leaf), cmp.Compare(a.Start, b.Start))
	})
	var all []Edited
	for i := 0; i < len(edits); {
		of := leaves[edits[i].Leaf]
		var after strings.Builder
		rules, done, id := []string(nil), 0, edits[i].Leaf
		for ; i < len(edits) && edits[i].Leaf == id; i++ {
			edit := edits[i]
			end := min(int(edit.End), len(of.text))
			after.WriteString(of.text[done:edit.Start])
			after.WriteString(applied(edit, of.text[edit.Start:end]))
			rules, done = append(rules, edit.Rule), end
		}
		after.WriteString(of.text[done:])
		of.After, of.Rule = after.String(), strings.Join(rules, ",")
		all = append(all, of.Edited)
	}
	return all
}

// applied is what an edit leaves of a text.
func applied(edit harness.Edit, text string) string {
	switch edit.Op {
	case 1:
		return edit.Text
	case 2:
		with, _ := utf8.DecodeRuneInString(edit.Text)
		return strings.Repeat(string(with), utf8.RuneCountInString(text))
	case 3:
		hash := hmac.New(sha1.New, []byte(edit.Text))
		hash.Write([]byte(text))
		return fmt.Sprintf("%X", hash.Sum(nil))
	}
	if edit.Start == 0 && edit.End == ^uint32(0) {
		return "null"
	}
	return ""
}
