// Package md5 is MD5 without what the standard library's brings along: that one makes a component a quarter larger.
//
// The sums name groups of events, as error trackers do it. They are nothing that must withstand an attacker.
package md5

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const blockBytes = 64

var shifts = [4][4]int{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

var sines = func() (table [64]uint32) {
	for i := range table {
		table[i] = uint32(uint64(math.Abs(math.Sin(float64(i+1))) * (1 << 32)))
	}
	return table
}()

// Sum is the MD5 of the message.
func Sum(message []byte) [16]byte {
	padded := append(message[:len(message):len(message)], 0x80)
	for len(padded)%blockBytes != blockBytes-8 {
		padded = append(padded, 0)
	}
	padded = binary.LittleEndian.AppendUint64(padded, uint64(len(message))*8)
	state := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	for at := 0; at < len(padded); at += blockBytes {
		mix(&state, padded[at:at+blockBytes])
	}
	var sum [16]byte
	for i, word := range state {
		binary.LittleEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

func mix(state *[4]uint32, block []byte) {
	a, b, c, d := state[0], state[1], state[2], state[3]
	for i := range 64 {
		var mixed uint32
		var word int
		switch i / 16 {
		case 0:
			mixed, word = b&c|^b&d, i
		case 1:
			mixed, word = d&b|^d&c, 5*i+1
		case 2:
			mixed, word = b^c^d, 3*i+5
		case 3:
			mixed, word = c^(b|^d), 7*i
		}
		sum := a + mixed + sines[i] + binary.LittleEndian.Uint32(block[word%16*4:])
		a, d, c, b = d, c, b, b+bits.RotateLeft32(sum, shifts[i/16][i%4])
	}
	state[0], state[1], state[2], state[3] = state[0]+a, state[1]+b, state[2]+c, state[3]+d
}
