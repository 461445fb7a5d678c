package plugin

import "slices"

// Edits are where edits go. Each is of a span of a leaf, and names the rule that asks for it, as the event's _meta will show it:
// @email:replace. A rule is cut at 512 bytes, and must not be empty.
//
// Where edits of one leaf overlap, the earlier one is stretched over both: what any of them covers does not survive.
type Edits struct {
	edits   []edit
	strings interner
	flat    flatEdits
	call    uint32
}

type edit struct {
	Span
	op   uint8
	text uint32
	rule uint32
}

// flatEdits is the answer for a batch, as the WIT has it, but for the strings.
type flatEdits struct {
	leaf  []uint32
	op    []uint8
	start []uint32
	end   []uint32
	text  []uint32
	rule  []uint32
}

const (
	opRemove = iota
	opReplace
	opMask
	opHash
)

// Remove takes the span out. Of a whole value, null stays.
func (e *Edits) Remove(span Span, rule string) {
	e.push(span, opRemove, "", rule)
}

// Replace puts text in the place of the span.
func (e *Edits) Replace(span Span, text, rule string) {
	e.push(span, opReplace, text, rule)
}

// Mask puts with in the place of each character of the span.
func (e *Edits) Mask(span Span, with rune, rule string) {
	e.push(span, opMask, string(with), rule)
}

// Hash puts the HMAC-SHA1 of the span under that key in its place, as 40 upper-case hexadecimal digits.
func (e *Edits) Hash(span Span, key, rule string) {
	e.push(span, opHash, key, rule)
}

// Len is the number of edits so far.
func (e *Edits) Len() int {
	return len(e.edits)
}

func (e *Edits) push(span Span, op uint8, text, rule string) {
	if span.call != e.call {
		panic("plugin: an edit of a leaf of an earlier call")
	}
	e.edits = append(e.edits, edit{span, op, e.strings.add(text), e.strings.add(mustName("the rule of an edit", rule))})
}

func (e *Edits) begin(call uint32) {
	e.call = call
	e.edits = e.edits[:0]
	e.strings.reset()
}

// withoutOverlaps joins the edits that touch the same bytes. Leaves come in ascending order, so that one look tells that no leaf was
// edited twice.
func (e *Edits) withoutOverlaps() {
	if isAscending(e.edits) {
		return
	}
	// Edits that begin at the same byte stay in their order, so that the first of them is the earliest.
	order := make([]int, len(e.edits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := e.edits[a], e.edits[b]
		switch {
		case x.leaf != y.leaf:
			return int(x.leaf) - int(y.leaf)
		case x.start != y.start:
			return int(x.start) - int(y.start)
		}
		return a - b
	})
	merged, earliest := make([]edit, 0, len(order)), 0
	for _, at := range order {
		next := e.edits[at]
		if len(merged) == 0 || !merged[len(merged)-1].overlaps(next.Span) {
			merged, earliest = append(merged, next), at
			continue
		}
		last := &merged[len(merged)-1]
		span := Span{last.leaf, min(last.start, next.start), max(last.end, next.end), last.call}
		if at < earliest {
			*last, earliest = next, at
		}
		last.Span = span
	}
	e.edits = merged
}

func isAscending(edits []edit) bool {
	for i := 1; i < len(edits); i++ {
		if edits[i-1].leaf >= edits[i].leaf {
			return false
		}
	}
	return true
}

// overlaps says whether two spans of which the other one does not begin earlier have bytes in common, or are the same place.
func (s Span) overlaps(other Span) bool {
	return s.leaf == other.leaf && (s == other || s.end == whole || other.end == whole || other.start < s.end)
}

// flatten gives the answer's lists.
func (e *Edits) flatten() *flatEdits {
	f, count := &e.flat, uint32(len(e.edits))
	f.leaf, f.op = sized(f.leaf, count), sized(f.op, count)
	f.start, f.end = sized(f.start, count), sized(f.end, count)
	f.text, f.rule = sized(f.text, count), sized(f.rule, count)
	for i, edit := range e.edits {
		f.leaf[i], f.op[i], f.start[i], f.end[i] = edit.leaf, edit.op, edit.start, edit.end
		f.text[i], f.rule[i] = edit.text, edit.rule
	}
	return f
}
