package plugin

import (
	"fmt"
	"unicode/utf8"
)

// nameBytesMax is what the host takes of a reason or of a rule's name: they become cells of tables.
const nameBytesMax = 512

// scannedMax is how many texts are compared one by one, which for a handful is faster than any map.
const scannedMax = 12

// interner numbers the texts that an answer names by number, each distinct one once and from 0.
type interner struct {
	// given are the texts as they came; clean are those that the host takes.
	given []string
	clean []string
	// known are the numbers of the texts behind the scanned ones.
	known map[string]uint32
	last  int
}

func (n *interner) reset() {
	clear(n.given)
	clear(n.clean)
	clear(n.known)
	n.given, n.clean, n.last = n.given[:0], n.clean[:0], 0
}

// add gives the number of a text.
func (n *interner) add(text string) uint32 {
	if n.last < len(n.given) && same(n.given[n.last], text) {
		return uint32(n.last)
	}
	n.last = n.lookFor(text)
	return uint32(n.last)
}

func (n *interner) lookFor(text string) int {
	for i, known := range n.given[:min(len(n.given), scannedMax)] {
		if same(known, text) {
			return i
		}
	}
	if number, ok := n.known[text]; ok {
		return int(number)
	}
	number := len(n.given)
	if number >= scannedMax {
		if n.known == nil {
			n.known = make(map[string]uint32)
		}
		n.known[text] = uint32(number)
	}
	n.given = append(n.given, text)
	n.clean = append(n.clean, valid(text))
	return number
}

// name makes a text a name: the host would refuse the whole answer for one that is too long.
func name(text string) string {
	// A broken byte becomes three.
	if len(text)*3 <= nameBytesMax {
		return text
	}
	text = valid(text)
	if len(text) <= nameBytesMax {
		return text
	}
	end := nameBytesMax
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// mustName is name, for texts that must not be empty.
func mustName(what, text string) string {
	if text == "" {
		panic("plugin: " + what + " is empty")
	}
	return name(text)
}

func outOfRange(what string, index, len int) string {
	return fmt.Sprintf("plugin: %s %d of %d", what, index, len)
}
