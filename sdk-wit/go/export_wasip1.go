package plugin

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"tamis.dev/plugin/internal/host"
)

// The exports of all four kinds, of which a component has those of its own: the encoder takes what the world names.
//
// Lists are flat. What is answered is addresses and lengths in a static place. They point to Go's memory, which does not move, and which
// stays reachable from here while the host reads it, which it does before it calls again.

var (
	current      batch
	verdictsNow  verdicts
	ratesNow     rates
	editsNow     Edits
	fingersNow   Fingerprints
	initError    string
	answer       [2 * 7]uint32
	answerLength int
)

// heapBytesGoal is where the collector begins to work harder, so that an instance stays below memory_bytes_recycle of the host's
// defaults.
const heapBytesGoal = 160 << 20

//go:wasmexport tamis:plugin/filtering@0.1.0#init
func initFilter(config unsafe.Pointer, length uint32) unsafe.Pointer {
	return start("filter", config, length)
}

//go:wasmexport tamis:plugin/sampling@0.1.0#init
func initSampler(config unsafe.Pointer, length uint32) unsafe.Pointer {
	return start("sampler", config, length)
}

//go:wasmexport tamis:plugin/scrubbing@0.1.0#init
func initScrubber(config unsafe.Pointer, length uint32) unsafe.Pointer {
	return start("scrubber", config, length)
}

//go:wasmexport tamis:plugin/fingerprinting@0.1.0#init
func initFingerprinter(config unsafe.Pointer, length uint32) unsafe.Pointer {
	return start("fingerprinter", config, length)
}

//go:wasmexport tamis:plugin/filtering@0.1.0#filter
func filterBatch() unsafe.Pointer {
	defer trap()
	begin()
	verdictsNow.run(exported.filter, &current)
	list(verdictsNow.verdicts)
	texts(verdictsNow.reasons.clean)
	return unsafe.Pointer(&answer)
}

//go:wasmexport tamis:plugin/sampling@0.1.0#sample
func sampleBatch() unsafe.Pointer {
	defer trap()
	begin()
	ratesNow.run(exported.sampler, &current)
	list(ratesNow.rates)
	list(ratesNow.decidedBy)
	texts(ratesNow.rules.clean)
	return unsafe.Pointer(&answer)
}

//go:wasmexport tamis:plugin/scrubbing@0.1.0#scrub
func scrubBatch() unsafe.Pointer {
	defer trap()
	begin()
	editsNow.run(exported.scrubbing, &current)
	flat := editsNow.flatten()
	list(flat.leaf)
	list(flat.op)
	list(flat.start)
	list(flat.end)
	list(flat.text)
	list(flat.rule)
	texts(editsNow.strings.clean)
	return unsafe.Pointer(&answer)
}

//go:wasmexport tamis:plugin/fingerprinting@0.1.0#fingerprint
func fingerprintBatch() unsafe.Pointer {
	defer trap()
	begin()
	fingersNow.run(exported.fingerprinter, &current)
	list(fingersNow.counts)
	list(fingersNow.kind)
	list(fingersNow.offsets)
	list(fingersNow.data)
	texts(fingersNow.kinds.clean)
	return unsafe.Pointer(&answer)
}

// start makes the instance. The configuration lies in the arena: it is copied before that is used again.
func start(kind string, config unsafe.Pointer, length uint32) unsafe.Pointer {
	defer trap()
	debug.SetMemoryLimit(heapBytesGoal)
	json := strings.Clone(unsafe.String((*byte)(config), length))
	begin()
	err := openAs(kind, json)
	if err == nil && kind == "scrubber" {
		exported.scrubbing.begin(&current)
	}
	clear(answer[:])
	if err != nil {
		// One byte says which of the two it is; the text follows at the next word.
		answer[0] = 1
		initError = valid(err.Error())
		answer[1], answer[2] = address(unsafe.StringData(initError)), uint32(len(initError))
	}
	return unsafe.Pointer(&answer)
}

func begin() {
	answerLength = 0
	host.PassTime()
	current.begin(host.Source{})
}

// list puts a list behind those of the answer.
func list[T any](items []T) {
	answer[answerLength] = address(unsafe.SliceData(items))
	answer[answerLength+1] = uint32(len(items))
	answerLength += 2
}

// texts puts a list of texts behind those of the answer: a list of their addresses and lengths.
func texts(all []string) {
	flat := host.Source{}.Arena().Uint32s(2 * len(all))
	for i, text := range all {
		flat[2*i], flat[2*i+1] = address(unsafe.StringData(text)), uint32(len(text))
	}
	list(flat)
	answer[answerLength-1] = uint32(len(all))
}

func address[T any](at *T) uint32 {
	return uint32(uintptr(unsafe.Pointer(at)))
}

// trap ends the call for a panic, once the host's log has it. Left alone, Go's runtime would print it in some hundred pieces, each a line of
// that log.
func trap() {
	if what := recover(); what != nil {
		host.Log(host.Error, valid(describe(what)))
		// The adapter makes a trap of it. Nothing of this instance is used again.
		os.Exit(2)
	}
}

// describe gives a panic and where it is from: the author's part of the stack, the innermost call first.
func describe(what any) string {
	text := strings.Builder{}
	if err, isError := what.(error); isError {
		what = err.Error()
	}
	fmt.Fprintf(&text, "panic: %v", what)
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if callsAuthor(frame.Function) {
			break
		}
		if !strings.HasPrefix(frame.Function, "runtime.") {
			fmt.Fprintf(&text, "\n%s\n\t%s:%d", frame.Function, frame.File, frame.Line)
		}
	}
	return text.String()
}

// callsAuthor says whether it is one of the functions from which the SDK calls what the author wrote.
func callsAuthor(function string) bool {
	name, ours := strings.CutPrefix(function, "tamis.dev/plugin.")
	return ours && (strings.HasSuffix(name, ".run") || strings.HasPrefix(name, "opened[") || name == "newScrubbing")
}
