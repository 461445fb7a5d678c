package plugin

import (
	"iter"
	"time"
)

// Event is one event of the batch.
//
// Every method that takes a path pulls that path's values for the whole batch at its first use; after that a value costs some
// nanoseconds. Paths may be made at run time: what counts is that there are few different ones. A path that can not be parsed,
// or that the stage was not granted, ends the call; in a test it panics with the same message.
//
// Texts are not copied. Each is valid until the call ends, and is another text afterwards: what shall live longer must be
// copied with [strings.Clone]. An event is used by the goroutine that it was given to, and not kept.
type Event struct {
	Item
}

// Item is one item of a list within an event, such as an exception or a frame; its paths are relative to it.
type Item struct {
	batch *batch
	base  uint32
	row   uint32
}

// Items are the items of a list.
type Items struct {
	batch *batch
	base  uint32
	row   uint32
	end   uint32
}

// User is whom an event happened to; what is not known is empty.
type User struct {
	event Event
}

// Text is the string, number or boolean under path as text, and empty if there is none. Of a path with stars, it is the first there is.
func (i Item) Text(path string) string {
	text, _ := i.LookupText(path)
	return text
}

// LookupText tells an empty text from none.
func (i Item) LookupText(path string) (text string, found bool) {
	b := i.batch
	c := b.last.after
	if c.isNow(b.call|uint64(i.base)<<kindBits|uint64(kindText), path) {
		b.last = c
	} else {
		c = b.lookFor(i.base, kindText, path)
	}
	if c.starts != nil {
		return c.firstText(i.row)
	}
	return c.text(i.row)
}

// Texts are the texts under a path with stars, such as exception.values.*.type, in their order; found is false for an item that has none.
func (i Item) Texts(path string) iter.Seq2[string, bool] {
	c := i.batch.find(i.base, kindText, path)
	first, end := c.rows(i.row)
	return func(yield func(text string, found bool) bool) {
		for row := first; row < end && yield(c.text(row)); row++ {
		}
	}
}

// Number is the number under path, and 0 if there is none. A string is none, also if it looks like a number.
func (i Item) Number(path string) float64 {
	number, _ := i.LookupNumber(path)
	return number
}

// LookupNumber tells 0 from no number.
func (i Item) LookupNumber(path string) (number float64, found bool) {
	return i.batch.find(i.base, kindNumber, path).firstNumber(i.row)
}

// Flag is the boolean under path, and false if there is none.
func (i Item) Flag(path string) bool {
	flag, _ := i.LookupFlag(path)
	return flag
}

// LookupFlag tells false from no boolean.
func (i Item) LookupFlag(path string) (flag, found bool) {
	switch i.Text(path) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// JSON is whatever is under path as JSON text, and empty if there is nothing. It costs more than the others: all of it is copied.
func (i Item) JSON(path string) string {
	text, _ := i.batch.find(i.base, kindJSON, path).firstText(i.row)
	return text
}

// Count is the number of elements of the list, or of members of the object, under path; 0 if there is neither. Those of a path with
// stars are added up.
func (i Item) Count(path string) int {
	sum := 0
	for count := range i.Counts(path) {
		sum += count
	}
	return sum
}

// Counts are the counts of a path with stars, one for each item.
func (i Item) Counts(path string) iter.Seq[int] {
	c := i.batch.find(i.base, kindCount, path)
	first, end := c.rows(i.row)
	return func(yield func(count int) bool) {
		for row := first; row < end && yield(int(c.counts[row])); row++ {
		}
	}
}

// Items are the items of the list (or the values of the object) under path. Those of a path with stars, such as
// exception.values.*.stacktrace.frames, follow each other.
func (i Item) Items(path string) Items {
	c := i.batch.find(i.base, kindList, path)
	return Items{batch: i.batch, base: c.list, row: c.starts[i.row], end: c.starts[i.row+1]}
}

// Frames are the frames of an exception's or thread's stack trace, the outermost call first.
func (i Item) Frames() Items {
	return i.Items("stacktrace.frames")
}

// Index is the place of the event in the batch.
func (e Event) Index() int {
	return int(e.row)
}

// Tag is the tag with that key, whatever is in the key and in whichever form the client sent tags; empty if there is none.
func (e Event) Tag(key string) string {
	text, _ := e.LookupTag(key)
	return text
}

// LookupTag tells an empty tag from none.
func (e Event) LookupTag(key string) (text string, found bool) {
	b := e.batch
	c := b.last.after
	if c.isNow(b.call|uint64(kindTag), key) {
		b.last = c
	} else {
		c = b.lookFor(ofEvents, kindTag, key)
	}
	return c.text(e.row)
}

// Exceptions are in the order of the event: the last one is the one that was raised last.
func (e Event) Exceptions() Items {
	return e.Items("exception.values")
}

// Threads are the event's threads.
func (e Event) Threads() Items {
	return e.Items("threads.values")
}

// User is whom the event happened to.
func (e Event) User() User {
	return User{e}
}

// ProjectID is the id of the project that the event belongs to.
func (e Event) ProjectID() uint64 {
	return uint64(e.Number("$meta.project_id"))
}

// ReceivedAt is when the host received the event. A plugin has no other clock.
func (e Event) ReceivedAt() time.Time {
	return time.UnixMilli(int64(e.Number("$meta.received_at"))).UTC()
}

// ID is the user's id.
func (u User) ID() string { return u.event.Text("user.id") }

// Email is the user's address.
func (u User) Email() string { return u.event.Text("user.email") }

// Username is the user's name.
func (u User) Username() string { return u.event.Text("user.username") }

// IPAddress is where the user's request came from.
func (u User) IPAddress() string { return u.event.Text("user.ip_address") }

// Len is the number of items.
func (i Items) Len() int {
	return int(i.end - i.row)
}

// At is one item, from 0 on. It panics if there is none of that number.
func (i Items) At(index int) Item {
	if uint(index) >= uint(i.Len()) {
		panic(outOfRange("item", index, i.Len()))
	}
	return Item{i.batch, i.base, i.row + uint32(index)}
}

// Last is the last item, if there is any.
func (i Items) Last() (item Item, found bool) {
	return Item{i.batch, i.base, i.end - 1}, i.row < i.end
}

// All are the items with their numbers.
func (i Items) All() iter.Seq2[int, Item] {
	return func(yield func(int, Item) bool) {
		for row := i.row; row < i.end && yield(int(row-i.row), Item{i.batch, i.base, row}); row++ {
		}
	}
}

// Backward are the items with their numbers, the last one first.
func (i Items) Backward() iter.Seq2[int, Item] {
	return func(yield func(int, Item) bool) {
		for row := i.end; row > i.row && yield(int(row-1-i.row), Item{i.batch, i.base, row - 1}); row-- {
		}
	}
}
