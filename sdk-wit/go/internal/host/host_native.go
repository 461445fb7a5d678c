//go:build !wasip1

package host

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"unsafe"
)

// Source is a batch in a test.
type Source struct {
	// Pull gives the raw answer to one pull, as `tamis plugin columns --raw` writes it, without the status.
	Pull  func(op, argument string) []byte
	Lists *Arena
}

// Arena is where the lists of this source lie.
func (s Source) Arena() *Arena {
	return s.Lists
}

// Len is the number of events.
func (s Source) Len() int {
	raw := reader{s.Pull("len", ""), s.Lists}
	return int(raw.uint32s()[0])
}

// Strings are the texts under a path.
func (s Source) Strings(path string) Texts {
	raw := reader{s.Pull("strings", path), s.Lists}
	return raw.texts()
}

// JSON is whatever is under a path, as JSON text.
func (s Source) JSON(path string) Texts {
	raw := reader{s.Pull("json", path), s.Lists}
	return raw.texts()
}

// Numbers are the numbers under a path.
func (s Source) Numbers(path string) Reals {
	raw := reader{s.Pull("numbers", path), s.Lists}
	return Reals{Presence: raw.bytes(), Values: raw.float64s()}
}

// Counts are the sizes of the lists under a path.
func (s Source) Counts(path string) []uint32 {
	raw := reader{s.Pull("counts", path), s.Lists}
	return raw.uint32s()
}

// Leaves are the values that a selector names.
func (s Source) Leaves(selector string) LeafList {
	raw := reader{s.Pull("leaves", selector), s.Lists}
	return LeafList{
		Events:      raw.uint32s(),
		IDs:         raw.uint32s(),
		Kinds:       raw.bytes(),
		Paths:       raw.uint32s(),
		Offsets:     raw.uint32s(),
		Data:        text(raw.bytes()),
		PathOffsets: raw.uint32s(),
		PathData:    text(raw.bytes()),
		PathKeys:    raw.uint32s(),
	}
}

// Log writes to where a test's output goes.
func Log(level Level, message string) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", [...]string{"error", "warn", "info", "debug"}[level], message)
}

// reader copies lists into the arena, where they are as short-lived as the host's.
type reader struct {
	rest  []byte
	arena *Arena
}

func (r *reader) take(count int) []byte {
	taken := r.rest[:count]
	r.rest = r.rest[count:]
	return taken
}

func (r *reader) count() int {
	return int(binary.LittleEndian.Uint32(r.take(4)))
}

func (r *reader) bytes() []byte {
	raw := r.take(r.count())
	list := unsafe.Slice((*byte)(r.arena.Alloc(len(raw))), len(raw))
	copy(list, raw)
	return list
}

func (r *reader) uint32s() []uint32 {
	list := r.arena.Uint32s(r.count())
	for i := range list {
		list[i] = binary.LittleEndian.Uint32(r.take(4))
	}
	return list
}

func (r *reader) float64s() []float64 {
	count := r.count()
	list := unsafe.Slice((*float64)(r.arena.Alloc(count*8)), count)
	for i := range list {
		list[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	}
	return list
}

func (r *reader) texts() Texts {
	return Texts{Presence: r.bytes(), Offsets: r.uint32s(), Data: text(r.bytes())}
}
