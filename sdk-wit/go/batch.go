package plugin

import (
	"strings"
	"unsafe"

	"tamis.dev/plugin/internal/host"
)

// batch holds the columns that a plugin has pulled of the current batch.
//
// They are found by path, once per value that a plugin reads, so that finding must cost next to nothing. A plugin asks for the
// same paths in the same order for every event: each column remembers which one was asked for after it. A path is nearly always
// the same literal, so that comparing its address and length is enough.
//
// The columns themselves outlive a batch, with nothing of it: what they point to then is never looked at, since their key has the
// number of the call in it. So a call of a plugin that asks for known paths allocates nothing.
type batch struct {
	source  host.Source
	columns []*column
	last    *column
	// call is the number of the call, in the upper half.
	call uint64
}

// columnsMax is how many columns outlive a batch. A plugin that makes paths of what it finds in events has new ones for ever.
const columnsMax = 1024

// kind is what is asked for under a path. The same path is another column under another kind.
type kind uint64

const (
	kindText kind = iota
	kindTag       // a text under tags, by the tag's key
	kindJSON
	kindNumber
	kindCount
	kindList     // the list under a path, as rows of their own
	kindNone = 7 // of no path
	kindBits = 3
)

// ofEvents stands for events, where a column of something within them names its list.
const ofEvents = 0

// column is the values of one path. Which fields there are depends on its kind.
type column struct {
	// key is call, base and kind.
	key uint64
	// seen is the path as it was asked for the last time, maybe with a text of the batch; path is a copy of it.
	seen string
	path string
	// after was asked for after this one the last time.
	after *column

	presence []byte
	offsets  []uint32
	data     string
	values   []float64
	counts   []uint32
	// starts is where the rows of each event (or item) begin, if there may be several.
	starts []uint32
	// list is how columns below this list name it, and items is the path of its items.
	list  uint32
	items string
}

// begin makes the source's current batch the current one.
func (b *batch) begin(source host.Source) {
	if source.Arena().Reset() {
		for _, column := range b.columns {
			column.forget()
		}
	}
	b.source = source
	b.call += 1 << 32
	if len(b.columns) == 0 || len(b.columns) > columnsMax || b.call == 0 {
		none := &column{key: uint64(kindNone)}
		none.after = none
		b.columns = []*column{none}
		b.call = 1 << 32
	}
	b.last = b.columns[0]
}

// number is that of the call, for what must not outlive it.
func (b *batch) number() uint32 {
	return uint32(b.call >> 32)
}

// find gives the column of what path names within each row of base. Functions that must be fast have its body in them: a call costs as much as
// the rest of it.
func (b *batch) find(base uint32, kind kind, path string) *column {
	next := b.last.after
	if !next.isNow(b.call|uint64(base)<<kindBits|uint64(kind), path) {
		return b.lookFor(base, kind, path)
	}
	b.last = next
	return next
}

// isNow says whether the column is of that path and of this batch. It may say no where a closer look says yes.
func (c *column) isNow(key uint64, path string) bool {
	return c.key == key && unsafe.StringData(c.seen) == unsafe.StringData(path) && len(c.seen) == len(path)
}

//go:noinline
func (b *batch) lookFor(base uint32, kind kind, path string) *column {
	key := b.call | uint64(base)<<kindBits | uint64(kind)
	before := b.last
	found := before.after
	if !found.is(key, path) {
		found = b.known(key, path)
	}
	if found.key != key {
		b.pull(found, base, kind)
		found.key = key
	}
	// It counts within this call only, in which no text changes under its address.
	found.seen = path
	before.after = found
	b.last = found
	return found
}

// known gives the column of that path, of this batch or of an earlier one, or else a new one.
func (b *batch) known(key uint64, path string) *column {
	for _, column := range b.columns {
		if column.is(key, path) {
			return column
		}
	}
	path = strings.Clone(path)
	// Its key is of no call yet.
	made := &column{key: uint64(uint32(key)), seen: path, path: path, after: b.columns[0], list: uint32(len(b.columns))}
	b.columns = append(b.columns, made)
	return made
}

// is says whether the column is of that path, in whichever batch.
func (c *column) is(key uint64, path string) bool {
	return uint32(c.key) == uint32(key) && same(c.path, path)
}

// forget lets go of what the column has of a batch.
func (c *column) forget() {
	*c = column{key: uint64(uint32(c.key)), seen: c.path, path: c.path, after: c.after, list: c.list, items: c.items}
}

// pull fills the column with the values of the current batch.
func (b *batch) pull(c *column, base uint32, kind kind) {
	path := c.path
	if kind == kindTag {
		path = "tags." + quote(path)
	}
	if base != ofEvents {
		path = join(b.columns[base].items, path)
	}
	switch kind {
	case kindText, kindTag:
		c.setTexts(b.source.Strings(path))
	case kindJSON:
		c.setTexts(b.source.JSON(path))
	case kindNumber:
		reals := b.source.Numbers(path)
		c.presence, c.values = reals.Presence, reals.Values
	case kindCount:
		c.counts = b.source.Counts(path)
	case kindList:
		b.pullList(c, base, path)
		return
	}
	c.starts = nil
	if list, stars := beforeLastStar(c.path); stars && kind != kindTag {
		c.starts = b.lookFor(base, kindList, list).starts
	}
}

// pullList makes rows of the items of the list under path; with a star in it, of the items of all those lists in a row.
func (b *batch) pullList(c *column, base uint32, path string) {
	counts := b.source.Counts(path)
	starts := b.source.Arena().Uint32s(len(counts) + 1)
	next := uint32(0)
	for i, count := range counts {
		starts[i] = next
		next += count
	}
	starts[len(counts)] = next
	if outer, stars := beforeLastStar(c.path); stars {
		rows := b.lookFor(base, kindList, outer).starts
		ofOuter := b.source.Arena().Uint32s(len(rows))
		for i, row := range rows {
			ofOuter[i] = starts[row]
		}
		starts = ofOuter
	}
	c.starts = starts
	if c.items == "" {
		c.items = join(path, "*")
	}
}

func (c *column) setTexts(texts host.Texts) {
	c.presence, c.offsets, c.data = texts.Presence, texts.Offsets, texts.Data
}

// rows gives the rows that belong to a row of what the column is pulled from.
func (c *column) rows(row uint32) (first, end uint32) {
	if c.starts == nil {
		return row, row + 1
	}
	return c.starts[row], c.starts[row+1]
}

func (c *column) text(row uint32) (string, bool) {
	if c.presence[row] == 0 {
		return "", false
	}
	return c.data[c.offsets[row]:c.offsets[row+1]], true
}

//go:noinline
func (c *column) firstText(row uint32) (string, bool) {
	for at, end := c.rows(row); at < end; at++ {
		if c.presence[at] != 0 {
			return c.text(at)
		}
	}
	return "", false
}

func (c *column) firstNumber(row uint32) (float64, bool) {
	for at, end := c.rows(row); at < end; at++ {
		if c.presence[at] != 0 {
			return c.values[at], true
		}
	}
	return 0, false
}
