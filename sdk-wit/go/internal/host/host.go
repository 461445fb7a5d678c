// Package host is the interface of Tamis as Go sees it: over WebAssembly in a component, from the tamis binary in a test.
//
// Everything that it gives lies in an arena and is valid until the next call begins.
package host

import "unsafe"

// Texts are one per row. Row i is Data[Offsets[i]:Offsets[i+1]] if Presence[i] is 1, and absent if it is 0.
type Texts struct {
	Presence []byte
	Offsets  []uint32
	Data     string
}

// Reals are numbers, one per row.
type Reals struct {
	Presence []byte
	Values   []float64
}

// LeafList is what a selector names; the WIT explains the fields.
type LeafList struct {
	Events      []uint32
	IDs         []uint32
	Kinds       []byte
	Paths       []uint32
	Offsets     []uint32
	Data        string
	PathOffsets []uint32
	PathData    string
	PathKeys    []uint32
}

// Level says how much a line of the log matters.
type Level uint32

// The levels in the order of the WIT.
const (
	Error Level = iota
	Warn
	Info
	Debug
)

func text(bytes []byte) string {
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}
