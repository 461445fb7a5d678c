package plugin

import (
	"strings"
	"testing"
)

func TestBeforeLastStar(t *testing.T) {
	for _, c := range []struct {
		path, list string
		stars      bool
	}{
		{"release", "", false},
		{"a.*.b", "a", true},
		{"a.*.b.*.c.d", "a.*.b", true},
		{"tags.*", "tags", true},
		{"a.*.*", "a.*", true},
		{"tags.'a*b'", "", false},
		{`x.*.'it\'s *'`, "x", true},
	} {
		if list, stars := beforeLastStar(c.path); list != c.list || stars != c.stars {
			t.Errorf("%s: got %q, %v", c.path, list, stars)
		}
	}
}

func TestSame(t *testing.T) {
	text := "exception.values.*.type and more"
	for length := range len(text) {
		if !same(text[:length], strings.Clone(text[:length])) {
			t.Errorf("%q is not itself", text[:length])
		}
		for at := range length {
			other := []byte(text[:length])
			other[at] ^= 1
			if same(text[:length], string(other)) {
				t.Errorf("%q is %q", text[:length], other)
			}
		}
	}
	if same("ab", "abc") {
		t.Error("ab is abc")
	}
}

func TestEachTextOnce(t *testing.T) {
	var n interner
	for round := range 3 {
		if round == 2 {
			n.reset()
		}
		for i := range 40 {
			text := strings.Repeat("x", i) + "é"
			for range 2 {
				if got := n.add(text); got != uint32(i) {
					t.Fatalf("round %d: text %d has number %d", round, i, got)
				}
			}
		}
		if len(n.clean) != 40 {
			t.Errorf("%d texts", len(n.clean))
		}
	}
	if n.add("a\xff"); n.clean[40] != "a\uFFFD" {
		t.Errorf("%q is no UTF-8", n.clean[40])
	}
}

func TestNamesAreCutOnCharacters(t *testing.T) {
	for _, c := range [][2]string{
		{strings.Repeat("a", 512), strings.Repeat("a", 512)},
		{strings.Repeat("a", 513), strings.Repeat("a", 512)},
		{"a" + strings.Repeat("é", 300), "a" + strings.Repeat("é", 255)},
		{strings.Repeat("a\xff", 400), strings.Repeat("a\uFFFD", 128)},
	} {
		if got := name(c[0]); got != c[1] {
			t.Errorf("%d bytes become %d, not %d", len(c[0]), len(got), len(c[1]))
		}
	}
}

func TestOverlappingEditsAreJoined(t *testing.T) {
	// Leaf, start, end; the rule is the number of the edit.
	for _, c := range []struct {
		given [][3]uint32
		want  [][4]uint32
	}{
		{[][3]uint32{{1, 0, 2}, {1, 4, 6}, {2, 0, 1}}, [][4]uint32{{1, 0, 2, 0}, {1, 4, 6, 1}, {2, 0, 1, 2}}},
		{[][3]uint32{{1, 0, 2}, {1, 2, 4}}, [][4]uint32{{1, 0, 2, 0}, {1, 2, 4, 1}}},
		{[][3]uint32{{1, 3, 8}, {1, 0, 5}}, [][4]uint32{{1, 0, 8, 0}}},
		{[][3]uint32{{1, 0, 5}, {1, 3, 8}, {1, 7, 9}}, [][4]uint32{{1, 0, 9, 0}}},
		{[][3]uint32{{1, 3, 5}, {1, 0, whole}}, [][4]uint32{{1, 0, whole, 0}}},
		{[][3]uint32{{1, 0, whole}, {1, 0, whole}}, [][4]uint32{{1, 0, whole, 0}}},
		{[][3]uint32{{2, 0, 1}, {1, 0, 1}}, [][4]uint32{{1, 0, 1, 1}, {2, 0, 1, 0}}},
	} {
		edits := &Edits{}
		for i, span := range c.given {
			edits.Remove(Span{leaf: span[0], start: span[1], end: span[2]}, string(rune('0'+i)))
		}
		edits.withoutOverlaps()
		got := edits.read()
		if len(got) != len(c.want) {
			t.Errorf("%v: %v", c.given, got)
			continue
		}
		for i, want := range c.want {
			if g := got[i]; g.Leaf != want[0] || g.Start != want[1] || g.End != want[2] || g.Rule != string(rune('0'+want[3])) {
				t.Errorf("%v: edit %d is %v", c.given, i, g)
			}
		}
	}
}

func TestSpansAreOfCharacters(t *testing.T) {
	leaf := Leaf{Text: "aéb", Kind: StringLeaf, batch: &batch{}}
	for _, c := range [][4]int{{0, 4, 0, 4}, {1, 2, 1, 3}, {2, 3, 1, 3}, {2, 2, 1, 3}, {3, 4, 3, 4}, {4, 4, 4, 4}} {
		if span := leaf.Span(c[0], c[1]); span.start != uint32(c[2]) || span.end != uint32(c[3]) {
			t.Errorf("%v: %v", c, span)
		}
	}
	leaf.Kind = NumberLeaf
	if leaf.Span(1, 2) != leaf.Whole() {
		t.Error("a part of a number is edited")
	}
}
