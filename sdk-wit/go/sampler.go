package plugin

import (
	"math"
	"strconv"
)

// Sampler says at which rate events are kept. The host draws, from the trace id (the event id where there is none), so that a trace is
// kept or dropped as a whole on every machine.
type Sampler interface {
	Sample(event Event) Rate
}

// Rate is what a sampler says of an event: [KeepAll], or what [SampleAt] gives.
type Rate struct {
	given bool
	rate  float64
	rule  string
}

// KeepAll is no opinion: all such events are kept. It is the zero value.
var KeepAll = Rate{}

// SampleAt keeps such events at a rate from 0 to 1; what is outside is brought to the nearer end, and NaN keeps all. The rule is what
// decided it, as the outcome will name it; it may be empty, and is cut at 512 bytes.
func SampleAt(rate float64, rule string) Rate {
	if math.IsNaN(rate) {
		rate = 1
	}
	if rate == 1 && rule == "" {
		return KeepAll
	}
	return Rate{given: true, rate: min(max(rate, 0), 1), rule: name(rule)}
}

// Rate is the share of such events that is kept.
func (r Rate) Rate() float64 {
	if r.given {
		return r.rate
	}
	return 1
}

// Rule is what decided it, and empty if nothing did.
func (r Rate) Rule() string {
	return r.rule
}

// String is the rate and the rule.
func (r Rate) String() string {
	text := strconv.FormatFloat(r.Rate(), 'g', -1, 64)
	if r.rule != "" {
		text += " by " + r.rule
	}
	return text
}

// rates is the answer for a batch, as the WIT has it.
type rates struct {
	rates     []float64
	decidedBy []uint32
	rules     interner
}

func (r *rates) run(sampler Sampler, b *batch) {
	events := uint32(b.source.Len())
	r.rates, r.decidedBy = sized(r.rates, events), sized(r.decidedBy, events)
	r.rules.reset()
	for row := range events {
		rate := sampler.Sample(Event{Item{b, ofEvents, row}})
		r.rates[row] = rate.Rate()
		r.decidedBy[row] = 0
		if rate.rule != "" {
			r.decidedBy[row] = r.rules.add(rate.rule) + 1
		}
	}
}
