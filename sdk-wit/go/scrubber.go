package plugin

// Scrubber takes out of events what must not be kept.
type Scrubber interface {
	// Selectors name the values that it wants to see. Their grammar stands in the WIT; ** is every string. They are asked for once, when
	// the plugin starts, so that a selector that the host does not take refuses the configuration.
	Selectors() []string
	// Scrub looks at one value. One that several selectors name comes once for each.
	Scrub(leaf Leaf, edits *Edits)
}

// LeavesScrubber is a [Scrubber] that is faster in one pass over [Leaves.Data]: it is asked instead of Scrub.
type LeavesScrubber interface {
	// ScrubAll looks at all values of one selector and of the whole batch.
	ScrubAll(leaves Leaves, edits *Edits)
}

// scrubbing is a scrubber with what it has said when it started.
type scrubbing struct {
	scrubber  Scrubber
	all       LeavesScrubber
	selectors []string
}

func newScrubbing(scrubber Scrubber) scrubbing {
	all, _ := scrubber.(LeavesScrubber)
	return scrubbing{scrubber, all, scrubber.Selectors()}
}

// begin asks for the selectors while a refusal stops the start, and not every batch.
func (s scrubbing) begin(b *batch) {
	for _, selector := range s.selectors {
		b.source.Leaves(selector)
	}
}

func (e *Edits) run(s scrubbing, b *batch) {
	e.begin(b.number())
	for number, selector := range s.selectors {
		leaves := Leaves{selector: number, list: b.source.Leaves(selector), batch: b}
		if s.all != nil {
			s.all.ScrubAll(leaves, e)
			continue
		}
		for i := range leaves.Len() {
			s.scrubber.Scrub(leaves.At(i), e)
		}
	}
	e.withoutOverlaps()
}
