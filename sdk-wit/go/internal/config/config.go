// Package config reads a stage's configuration into a value of the author's type, with errors that begin with the path of the key that
// is wrong: `rules[0].rate: a string, where a number is expected`.
package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Parse reads JSON into what value points to. Unknown keys are mistakes. No configuration at all is an empty one.
func Parse(text string, value any) error {
	text = strings.TrimSpace(text)
	if text == "" || text == "null" {
		text = "{}"
	}
	return read("", json.RawMessage(text), reflect.ValueOf(value).Elem())
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	raw             = reflect.TypeFor[json.RawMessage]()
)

func read(path string, text json.RawMessage, value reflect.Value) error {
	pointer := reflect.PointerTo(value.Type())
	if pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler) || value.Type() == raw {
		return leaf(path, text, value)
	}
	if string(text) == "null" {
		return nil
	}
	switch value.Kind() {
	case reflect.Pointer:
		made := reflect.New(value.Type().Elem())
		value.Set(made)
		return read(path, text, made.Elem())
	case reflect.Struct:
		return object(path, text, value)
	case reflect.Map:
		return dictionary(path, text, value)
	case reflect.Slice, reflect.Array:
		return list(path, text, value)
	}
	return leaf(path, text, value)
}

// object reads the members of a struct by their JSON names, which must be the same to the letter.
func object(path string, text json.RawMessage, value reflect.Value) error {
	members, err := membersOf(path, text)
	if err != nil {
		return err
	}
	fields := make(map[string][]int)
	for _, field := range reflect.VisibleFields(value.Type()) {
		if name := nameOf(field); name != "" {
			fields[name] = field.Index
		}
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		index, known := fields[key]
		if !known {
			return wrong(join(path, key), unknown(slices.Sorted(maps.Keys(fields))))
		}
		if err := read(join(path, key), members[key], fieldOf(value, index)); err != nil {
			return err
		}
	}
	return nil
}

func unknown(known []string) string {
	if len(known) == 0 {
		return "unknown key, there are none"
	}
	return "unknown key, known are " + strings.Join(known, ", ")
}

// nameOf gives the JSON name of a field, and nothing for one that has none.
func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case !field.IsExported() || field.Tag.Get("json") == "-":
		return ""
	case name != "":
		return name
	case field.Anonymous:
		return ""
	}
	return field.Name
}

// fieldOf gives a field, and makes the embedded structs that it is in.
func fieldOf(value reflect.Value, index []int) reflect.Value {
	for at, i := range index {
		if at > 0 && value.Kind() == reflect.Pointer {
			if value.IsNil() {
				value.Set(reflect.New(value.Type().Elem()))
			}
			value = value.Elem()
		}
		value = value.Field(i)
	}
	return value
}

func dictionary(path string, text json.RawMessage, value reflect.Value) error {
	members, err := membersOf(path, text)
	if err != nil {
		return err
	}
	if value.IsNil() {
		value.Set(reflect.MakeMapWithSize(value.Type(), len(members)))
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		key := reflect.New(value.Type().Key()).Elem()
		if err := readKey(name, key); err != nil {
			return wrong(join(path, name), err.Error())
		}
		member := reflect.New(value.Type().Elem()).Elem()
		if err := read(join(path, name), members[name], member); err != nil {
			return err
		}
		value.SetMapIndex(key, member)
	}
	return nil
}

// readKey makes a key of a map from its name: a string, or a number such as a project's id.
func readKey(name string, key reflect.Value) error {
	if key.Kind() == reflect.String {
		key.SetString(name)
		return nil
	}
	if err := json.Unmarshal([]byte(name), key.Addr().Interface()); err != nil {
		return fmt.Errorf("the key is no %s", key.Type())
	}
	return nil
}

func list(path string, text json.RawMessage, value reflect.Value) error {
	var items []json.RawMessage
	if text[0] != '[' {
		return expected(path, text, "a list")
	}
	if err := unmarshal(text, &items); err != nil {
		return wrong(path, err.Error())
	}
	if value.Kind() == reflect.Slice {
		value.Set(reflect.MakeSlice(value.Type(), len(items), len(items)))
	} else if len(items) != value.Len() {
		return wrong(path, fmt.Sprintf("a list of %d, where %d are expected", len(items), value.Len()))
	}
	for i, item := range items {
		if err := read(path+"["+strconv.Itoa(i)+"]", item, value.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func membersOf(path string, text json.RawMessage) (map[string]json.RawMessage, error) {
	if text[0] != '{' {
		return nil, expected(path, text, "an object")
	}
	var members map[string]json.RawMessage
	if err := unmarshal(text, &members); err != nil {
		return nil, wrong(path, err.Error())
	}
	return members, nil
}

// leaf leaves a value to the standard library.
func leaf(path string, text json.RawMessage, value reflect.Value) error {
	err := unmarshal(text, value.Addr().Interface())
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && strings.HasPrefix(mistyped.Value, "number"):
		return wrong(path, fmt.Sprintf("%s, where %s is expected", text, want(value)))
	case errors.As(err, &mistyped):
		return expected(path, text, want(value))
	case err != nil:
		return wrong(path, err.Error())
	}
	return nil
}

// unmarshal is json.Unmarshal, which also says so if there is more text than one value.
func unmarshal(text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is more text behind the value")
	}
	return nil
}

func want(value reflect.Value) string {
	if value.Addr().Type().Implements(textUnmarshaler) {
		return "a string"
	}
	switch value.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer of " + strconv.Itoa(value.Type().Bits()) + " bits"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer of " + strconv.Itoa(value.Type().Bits()) + " bits from 0"
	}
	return value.Type().String()
}

func expected(path string, text json.RawMessage, want string) error {
	found := map[byte]string{'{': "an object", '[': "a list", '"': "a string", 't': "true", 'f': "false", 'n': "null"}[text[0]]
	if found == "" {
		found = string(text)
	}
	return wrong(path, found+", where "+want+" is expected")
}

func wrong(path, message string) error {
	if path == "" {
		return errors.New(message)
	}
	return errors.New(path + ": " + message)
}

// join writes the path of a member; a key with a dot in it stands in quotes.
func join(path, key string) string {
	if strings.ContainsAny(key, ".[]' ") || key == "" {
		key = "'" + key + "'"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
