package host

import "unsafe"

// What Go's runtime says by itself, above all when it gives up (a deadlock, no memory, a panic of a goroutine), comes in pieces of a
// word or two. Here they become lines of the host's log.

//go:linkname overrideWrite runtime.overrideWrite
var overrideWrite func(fd uintptr, text unsafe.Pointer, length int32) int32

// said is a line that has no end yet. The runtime may have lost its heap when it writes: nothing here allocates.
var said struct {
	text   [1 << 10]byte
	length int
}

func init() {
	overrideWrite = func(_ uintptr, text unsafe.Pointer, length int32) int32 {
		for _, b := range unsafe.Slice((*byte)(text), length) {
			if b != '\n' {
				said.text[said.length] = b
				said.length++
			}
			if said.length > 0 && (b == '\n' || said.length == len(said.text)) {
				logLine(uint32(Warn), unsafe.String(&said.text[0], said.length))
				said.length = 0
			}
		}
		return length
	}
}
