package host

import "unsafe"

const (
	// chunkBytesMin is what three columns of a batch of 256 need.
	chunkBytesMin = 64 << 10
	// keptBytesMax is how much of what one call needed is kept for the next ones. The rest is left to the collector:
	// a batch of unusual size shall not hold its memory for ever.
	keptBytesMax = 16 << 20
	wordBytes    = 8
)

// Arena gives memory until the next Reset, by moving an index.
//
// Its chunks are ordinary Go memory: the collector does not move them, and they are reachable from here, so that the host may
// write into them by address. They hold no pointers and cost the collector nothing. A chunk that was given out of is kept
// and given out of again after a Reset, so that calls of usual size allocate nothing at all.
//
// The zero value is ready.
type Arena struct {
	chunks [][]uint64
	at     int // the chunk that is given out of
	used   int // words of it
	// Poison overwrites what is given back, so that a test sees who keeps it.
	Poison bool
}

// Alloc gives size bytes, aligned to a word, which is the largest alignment of the interface.
func (a *Arena) Alloc(size int) unsafe.Pointer {
	words := (size + wordBytes - 1) / wordBytes
	for ; a.at < len(a.chunks); a.at, a.used = a.at+1, 0 {
		// At least one word is left over, so that an allocation of nothing has an address inside, too.
		if chunk := a.chunks[a.at]; a.used+words < len(chunk) {
			given := unsafe.Pointer(&chunk[a.used])
			a.used += words
			return given
		}
	}
	chunk := make([]uint64, max(words+1, chunkBytesMin/wordBytes<<min(len(a.chunks), 6)))
	a.chunks = append(a.chunks, chunk)
	a.used = words
	return unsafe.Pointer(&chunk[0])
}

// Uint32s gives room for count numbers, with whatever is in it.
func (a *Arena) Uint32s(count int) []uint32 {
	return unsafe.Slice((*uint32)(a.Alloc(count*4)), count)
}

// Reset takes everything back, and says whether some of it goes to the collector if nothing points to it.
func (a *Arena) Reset() (released bool) {
	if a.Poison {
		for _, chunk := range a.chunks {
			for i := range chunk {
				chunk[i] = 0xdbdbdbdbdbdbdbdb
			}
		}
	}
	kept := 0
	for i, chunk := range a.chunks {
		if kept += len(chunk) * wordBytes; kept > keptBytesMax {
			clear(a.chunks[i:])
			a.chunks = a.chunks[:i]
			released = true
			break
		}
	}
	a.at, a.used = 0, 0
	return released
}
