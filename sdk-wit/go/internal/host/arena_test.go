package host

import (
	"testing"
	"unsafe"
)

func TestCallsOfUsualSizeAllocateNothing(t *testing.T) {
	var a Arena
	call := func() {
		for size := range 3000 {
			if at := uintptr(a.Alloc(size)); at%wordBytes != 0 {
				t.Fatalf("%d bytes are at %x", size, at)
			}
		}
		if a.Reset() {
			t.Fatal("what a call of 5 MB needed is not kept")
		}
	}
	call()
	if made := testing.AllocsPerRun(10, call); made != 0 {
		t.Errorf("%v allocations in a call", made)
	}
}

func TestWhatIsGivenDoesNotOverlap(t *testing.T) {
	var a Arena
	sizes := []int{0, 1, 7, 8, 9, chunkBytesMin - 8, chunkBytesMin, 0, 3, 1 << 20, 5}
	for range 3 {
		var given [][]byte
		for i, size := range sizes {
			bytes := unsafe.Slice((*byte)(a.Alloc(size)), size)
			for at := range bytes {
				bytes[at] = byte(i)
			}
			given = append(given, bytes)
		}
		for i, bytes := range given {
			for _, b := range bytes {
				if b != byte(i) {
					t.Fatalf("allocation %d of %d bytes is overwritten by %d", i, sizes[i], b)
				}
			}
		}
		a.Reset()
	}
}

func TestAnUnusualCallKeepsNoMemory(t *testing.T) {
	var a Arena
	for range 4 {
		a.Alloc(keptBytesMax)
		a.Alloc(100)
	}
	if !a.Reset() {
		t.Error("nothing was released")
	}
	kept := 0
	for _, chunk := range a.chunks {
		kept += len(chunk) * wordBytes
	}
	if kept > keptBytesMax {
		t.Errorf("%d bytes are kept", kept)
	}
}
