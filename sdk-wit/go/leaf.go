package plugin

import (
	"iter"
	"sort"
	"unicode/utf8"

	"tamis.dev/plugin/internal/host"
)

// LeafKind is what a [Leaf] is.
type LeafKind uint8

// The kinds of leaves.
const (
	StringLeaf LeafKind = iota
	NumberLeaf
	BooleanLeaf
	ObjectLeaf
	ArrayLeaf
)

// Leaf is one value that a selector names. Like an event's, its texts are valid until the call ends.
type Leaf struct {
	// Path has * for elements of arrays.
	Path string
	// Text is a string without quotes and escapes, a number or boolean as in JSON, and nothing for an object or array.
	Text string
	Kind LeafKind
	// PathKey is a number for the path, the same in every batch of an instance: what is decided by path is decided once if it is kept
	// under this.
	PathKey uint32
	// Selector is the index, in what Selectors gave, of the one that named it.
	Selector int

	id    uint32
	row   uint32
	batch *batch
}

// Span is a part of a leaf, for [Edits].
type Span struct {
	leaf       uint32
	start, end uint32
	call       uint32
}

// whole is the end of a span that stands for the whole value.
const whole = ^uint32(0)

// Event is the event that the leaf is of.
func (l Leaf) Event() Event {
	return Event{Item{l.batch, ofEvents, l.row}}
}

// Whole is all of the leaf, also if that is no string.
func (l Leaf) Whole() Span {
	return Span{l.id, 0, whole, l.batch.number()}
}

// Span is the bytes from start to before end of a string. One that begins or ends inside of a character is widened to all of that
// character, and a part of what is no string is the whole. It panics, like slicing Text would, if the text has no such bytes.
func (l Leaf) Span(start, end int) Span {
	_ = l.Text[start:end]
	if l.Kind != StringLeaf {
		return l.Whole()
	}
	for start > 0 && start < len(l.Text) && !utf8.RuneStart(l.Text[start]) {
		start--
	}
	for end < len(l.Text) && !utf8.RuneStart(l.Text[end]) {
		end++
	}
	return Span{l.id, uint32(start), uint32(end), l.batch.number()}
}

// Leaves are all leaves of one selector, of all events of the batch, ordered by event and then by place in the event.
type Leaves struct {
	selector int
	list     host.LeafList
	batch    *batch
}

// Selector is the index, in what Selectors gave, of the one that named them.
func (l Leaves) Selector() int {
	return l.selector
}

// Len is the number of leaves.
func (l Leaves) Len() int {
	return len(l.list.IDs)
}

// At is one leaf.
func (l Leaves) At(index int) Leaf {
	list := &l.list
	path := list.Paths[index]
	return Leaf{
		Path:     list.PathData[list.PathOffsets[path]:list.PathOffsets[path+1]],
		Text:     list.Data[list.Offsets[index]:list.Offsets[index+1]],
		Kind:     LeafKind(list.Kinds[index]),
		PathKey:  list.PathKeys[path],
		Selector: l.selector,
		id:       list.IDs[index],
		row:      list.Events[index],
		batch:    l.batch,
	}
}

// All are the leaves with their numbers.
func (l Leaves) All() iter.Seq2[int, Leaf] {
	return func(yield func(int, Leaf) bool) {
		for i := 0; i < l.Len() && yield(i, l.At(i)); i++ {
		}
	}
}

// Data is the text of all leaves in one piece, without anything between them: what one pass can search at full speed.
func (l Leaves) Data() string {
	return l.list.Data
}

// Offsets say where the leaves are in Data: leaf i is Data[Offsets[i]:Offsets[i+1]].
func (l Leaves) Offsets() []uint32 {
	return l.list.Offsets
}

// LeafAt is the number of the leaf that a byte of Data belongs to.
func (l Leaves) LeafAt(at int) int {
	behind := sort.Search(len(l.list.Offsets), func(i int) bool { return int(l.list.Offsets[i]) > at })
	return max(behind-1, 0)
}
