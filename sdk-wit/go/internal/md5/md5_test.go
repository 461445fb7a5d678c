package md5

import (
	"bytes"
	standard "crypto/md5"
	"testing"
)

func TestSumIsThatOfTheStandardLibrary(t *testing.T) {
	for size := range 200 {
		message := bytes.Repeat([]byte{byte(size), 'a', 0xff}, size)[:size]
		if Sum(message) != standard.Sum(message) {
			t.Errorf("the sum of %d bytes is wrong", size)
		}
	}
}
