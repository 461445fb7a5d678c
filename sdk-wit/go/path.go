package plugin

import (
	"strings"
	"unsafe"
)

func join(front, back string) string {
	switch {
	case front == "":
		return back
	case back == "":
		return front
	}
	return front + "." + back
}

// beforeLastStar gives the path of the list whose items the last star stands for.
func beforeLastStar(path string) (list string, stars bool) {
	quoted, escaped, star := false, false, -1
	for at := 0; at < len(path); at++ {
		switch c := path[at]; {
		case escaped:
			escaped = false
		case c == '\\' && quoted:
			escaped = true
		case c == '\'':
			quoted = !quoted
		case c == '*' && !quoted:
			star = at
		}
	}
	if star < 0 {
		return "", false
	}
	return strings.TrimSuffix(path[:star], "."), true
}

// quote makes a segment of a path of a key, whatever is in it.
func quote(key string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(key) + "'"
}

const wordBytes = 8

// same says whether two texts are equal. Go's own comparison goes byte by byte on WebAssembly; here the last word overlaps the ones
// before, so that there is no rest to go through.
func same(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) < wordBytes {
		return a == b
	}
	p, q := unsafe.Pointer(unsafe.StringData(a)), unsafe.Pointer(unsafe.StringData(b))
	if p == q {
		return true
	}
	last := len(a) - wordBytes
	for at := 0; at < last; at += wordBytes {
		if word(p, at) != word(q, at) {
			return false
		}
	}
	return word(p, last) == word(q, last)
}

func word(text unsafe.Pointer, at int) uint64 {
	return *(*uint64)(unsafe.Add(text, at))
}
