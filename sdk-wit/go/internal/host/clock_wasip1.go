package host

import "unsafe"

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(subscriptions, events unsafe.Pointer, count uint32, happened unsafe.Pointer) uint32

var happened uint32

// PassTime lets some of the made-up time of a component pass: waiting for nothing moves its clock on by a second.
//
// That clock moves when it is read, and nearly everything that reads it is Go's collector, which therefore finds that it takes all of the
// processor's time. After a second of that (some two million readings, hours of work) the runtime's limiter of the collector stops it for ever, and the
// heap grows until the host ends it. So time must pass for the plugin, too.
func PassTime() {
	at := unsafe.Pointer(&happened)
	pollOneoff(at, at, 0, at)
}
