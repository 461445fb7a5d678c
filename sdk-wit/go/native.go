//go:build !wasip1

package plugin

import (
	"strings"

	"tamis.dev/plugin/internal/harness"
	"tamis.dev/plugin/internal/host"
)

func init() {
	harness.Filter = func(plugin any) harness.Call {
		b, answer := &batch{}, &verdicts{}
		return func(source host.Source) any {
			b.begin(source)
			answer.run(plugin.(Filter), b)
			return answer.read()
		}
	}
	harness.Sample = func(plugin any) harness.Call {
		b, answer := &batch{}, &rates{}
		return func(source host.Source) any {
			b.begin(source)
			answer.run(plugin.(Sampler), b)
			return answer.read()
		}
	}
	harness.Fingerprint = func(plugin any) harness.Call {
		b, answer := &batch{}, &Fingerprints{}
		return func(source host.Source) any {
			b.begin(source)
			answer.run(plugin.(Fingerprinter), b)
			return answer.read()
		}
	}
	harness.Scrub = func(plugin any) (harness.Call, []string) {
		b, answer, scrubbing := &batch{}, &Edits{}, newScrubbing(plugin.(Scrubber))
		call := func(source host.Source) any {
			b.begin(source)
			answer.run(scrubbing, b)
			return answer.read()
		}
		return call, scrubbing.selectors
	}
}

// What follows reads answers like the host: from the flat lists, with copies of the texts.

func (v *verdicts) read() []Verdict {
	all := make([]Verdict, len(v.verdicts))
	for i, verdict := range v.verdicts {
		if verdict > 0 {
			all[i] = Verdict{strings.Clone(v.reasons.clean[verdict-1])}
		}
	}
	return all
}

func (r *rates) read() []Rate {
	all := make([]Rate, len(r.rates))
	for i, rate := range r.rates {
		if rule := r.decidedBy[i]; rule > 0 {
			all[i] = SampleAt(rate, strings.Clone(r.rules.clean[rule-1]))
		} else if rate != 1 {
			all[i] = SampleAt(rate, "")
		}
	}
	return all
}

func (f *Fingerprints) read() [][]harness.FingerprintOf {
	all, next := make([][]harness.FingerprintOf, len(f.counts)), 0
	for i, count := range f.counts {
		for range count {
			text := string(f.data[f.offsets[next]:f.offsets[next+1]])
			kind := strings.Clone(f.kinds.clean[f.kind[next]])
			all[i] = append(all[i], harness.FingerprintOf{Kind: kind, Fingerprint: text})
			next++
		}
	}
	return all
}

func (e *Edits) read() []harness.Edit {
	flat := e.flatten()
	all := make([]harness.Edit, len(flat.leaf))
	for i := range all {
		all[i] = harness.Edit{
			Leaf: flat.leaf[i], Op: flat.op[i], Start: flat.start[i], End: flat.end[i],
			Text: strings.Clone(e.strings.clean[flat.text[i]]), Rule: strings.Clone(e.strings.clean[flat.rule[i]]),
		}
	}
	return all
}
