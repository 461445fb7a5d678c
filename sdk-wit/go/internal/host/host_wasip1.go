package host

import "unsafe"

// Source stands for the host: there is one batch at a time, and it is the current one.
type Source struct{}

// Lists are flat, so that each function of the interface is a function of numbers: texts go as address and length, and
// what is answered is written by the host to the address that comes last. Its lists lie where Realloc says.

//go:wasmimport tamis:plugin/batch@0.1.0 len
func batchLen() uint32

//go:wasmimport tamis:plugin/batch@0.1.0 strings
func batchStrings(path string, answer unsafe.Pointer)

//go:wasmimport tamis:plugin/batch@0.1.0 numbers
func batchNumbers(path string, answer unsafe.Pointer)

//go:wasmimport tamis:plugin/batch@0.1.0 json
func batchJSON(path string, answer unsafe.Pointer)

//go:wasmimport tamis:plugin/batch@0.1.0 counts
func batchCounts(path string, answer unsafe.Pointer)

//go:wasmimport tamis:plugin/batch@0.1.0 leaves
func batchLeaves(selector string, answer unsafe.Pointer)

//go:wasmimport tamis:plugin/log@0.1.0 log
func logLine(level uint32, message string)

// arena holds what the host writes.
var arena Arena

// answer is where the host writes the addresses and lengths of its lists. It is static: a goroutine's stack may move
// while the host asks for memory.
var answer [2 * 9]uint32

// realloc is how the host asks for memory, always for something new: it never gives the old size of anything.
//
//go:wasmexport cabi_realloc
func realloc(_, _, _, size uint32) unsafe.Pointer {
	return arena.Alloc(int(size))
}

// Arena is where the lists of this source lie.
func (Source) Arena() *Arena {
	return &arena
}

// Len is the number of events.
func (Source) Len() int {
	return int(batchLen())
}

// Strings are the texts under a path.
func (Source) Strings(path string) Texts {
	batchStrings(path, unsafe.Pointer(&answer))
	return texts()
}

// JSON is whatever is under a path, as JSON text.
func (Source) JSON(path string) Texts {
	batchJSON(path, unsafe.Pointer(&answer))
	return texts()
}

// Numbers are the numbers under a path.
func (Source) Numbers(path string) Reals {
	batchNumbers(path, unsafe.Pointer(&answer))
	return Reals{Presence: list[byte](0), Values: list[float64](1)}
}

// Counts are the sizes of the lists under a path.
func (Source) Counts(path string) []uint32 {
	batchCounts(path, unsafe.Pointer(&answer))
	return list[uint32](0)
}

// Leaves are the values that a selector names.
func (Source) Leaves(selector string) LeafList {
	batchLeaves(selector, unsafe.Pointer(&answer))
	return LeafList{
		Events:      list[uint32](0),
		IDs:         list[uint32](1),
		Kinds:       list[byte](2),
		Paths:       list[uint32](3),
		Offsets:     list[uint32](4),
		Data:        text(list[byte](5)),
		PathOffsets: list[uint32](6),
		PathData:    text(list[byte](7)),
		PathKeys:    list[uint32](8),
	}
}

// Log writes to the host's log.
func Log(level Level, message string) {
	logLine(uint32(level), message)
}

func texts() Texts {
	return Texts{Presence: list[byte](0), Offsets: list[uint32](1), Data: text(list[byte](2))}
}

// list is the list of that number in the answer.
func list[T any](number int) []T {
	return unsafe.Slice((*T)(Pointer(answer[2*number])), answer[2*number+1])
}

// Pointer is an address of the linear memory.
func Pointer(address uint32) unsafe.Pointer {
	wide := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&wide))
}
