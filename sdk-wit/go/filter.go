package plugin

// Filter decides which events are kept.
type Filter interface {
	Filter(event Event) Verdict
}

// Verdict is what a filter says of an event: [Keep], or what [Drop] gives.
type Verdict struct {
	reason string
}

// Keep lets the event go on. It is the zero value.
var Keep = Verdict{}

// Drop ends the event for that reason, a short key such as web-crawlers that stands in the event's outcome. It panics if the reason is
// empty, and cuts it at 512 bytes.
func Drop(reason string) Verdict {
	return Verdict{mustName("the reason to drop an event", reason)}
}

// Reason is the reason to drop the event, and empty if it is kept.
func (v Verdict) Reason() string {
	return v.reason
}

// String is keep, or drop and the reason.
func (v Verdict) String() string {
	if v == Keep {
		return "keep"
	}
	return "drop: " + v.reason
}

// verdicts is the answer for a batch, as the WIT has it.
type verdicts struct {
	verdicts []uint32
	reasons  interner
}

func (v *verdicts) run(filter Filter, b *batch) {
	events := uint32(b.source.Len())
	v.verdicts = sized(v.verdicts, events)
	v.reasons.reset()
	for row := range events {
		verdict := filter.Filter(Event{Item{b, ofEvents, row}})
		v.verdicts[row] = 0
		if verdict.reason != "" {
			v.verdicts[row] = v.reasons.add(verdict.reason) + 1
		}
	}
}

// sized gives a list of that length, with whatever is in it, in the old one's memory if that is enough.
func sized[T any](list []T, len uint32) []T {
	if uint32(cap(list)) < len {
		return make([]T, len)
	}
	return list[:len]
}
