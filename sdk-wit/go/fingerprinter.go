package plugin

import (
	"fmt"
	"unicode/utf8"

	"tamis.dev/plugin/internal/md5"
)

// Fingerprinter says which events are the same.
type Fingerprinter interface {
	// Fingerprint pushes the fingerprints of an event, the one that decides its group first. None is no opinion, and leaves the event
	// to the next stage.
	Fingerprint(event Event, out *Fingerprints)
}

const (
	// fingerprintBytesMax and fingerprintsMax are the host's limits.
	fingerprintBytesMax = 64
	fingerprintsMax     = 64
)

// Fingerprints are where fingerprints go.
type Fingerprints struct {
	counts  []uint32
	kind    []uint32
	offsets []uint32
	data    []byte
	kinds   interner
	ofEvent uint32
}

// Push adds a fingerprint of 1 to 64 bytes, of a kind such as app or system. It panics if it is longer or empty, or no UTF-8, or if
// the event has 64 already: the host would refuse the whole batch, and this says which one it was.
func (f *Fingerprints) Push(kind, fingerprint string) {
	if len(fingerprint) == 0 || len(fingerprint) > fingerprintBytesMax || !utf8.ValidString(fingerprint) {
		panic(fmt.Sprintf("plugin: a fingerprint has 1 to %d bytes of UTF-8, not %d: %q",
			fingerprintBytesMax, len(fingerprint), fingerprint))
	}
	if f.ofEvent == fingerprintsMax {
		panic(fmt.Sprintf("plugin: more than %d fingerprints of one event", fingerprintsMax))
	}
	f.ofEvent++
	f.kind = append(f.kind, f.kinds.add(mustName("the kind of a fingerprint", kind)))
	f.data = append(f.data, fingerprint...)
	f.offsets = append(f.offsets, uint32(len(f.data)))
}

// HashOf is the MD5 of texts, in hexadecimal. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c".
func HashOf(parts ...string) string {
	var message []byte
	for _, part := range parts {
		message = append(append(message, part...), 0)
	}
	const digits = "0123456789abcdef"
	var text [32]byte
	for i, b := range md5.Sum(message) {
		text[2*i], text[2*i+1] = digits[b>>4], digits[b&15]
	}
	return string(text[:])
}

func (f *Fingerprints) run(fingerprinter Fingerprinter, b *batch) {
	f.kind, f.offsets, f.data = f.kind[:0], append(f.offsets[:0], 0), f.data[:0]
	f.kinds.reset()
	events := uint32(b.source.Len())
	f.counts = sized(f.counts, events)
	for row := range events {
		f.ofEvent = 0
		fingerprinter.Fingerprint(Event{Item{b, ofEvents, row}}, f)
		f.counts[row] = f.ofEvent
	}
}
