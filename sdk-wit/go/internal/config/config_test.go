package config

import (
	"reflect"
	"testing"
	"time"
)

type timeout time.Duration

func (t *timeout) UnmarshalText(text []byte) error {
	read, err := time.ParseDuration(string(text))
	*t = timeout(read)
	return err
}

type shared struct {
	Enabled bool `json:"enabled"`
}

type rule struct {
	shared
	Rate   float64 `json:"rate"`
	ID     uint8   `json:"id"`
	Hidden int     `json:"-"`
}

type configuration struct {
	Rules    []rule          `json:"rules"`
	Projects map[int]rule    `json:"projects"`
	Names    map[string]bool `json:"names"`
	Timeout  timeout         `json:"timeout"`
	Limit    *int            `json:"limit"`
	Any      any             `json:"any"`
	Pair     [2]string       `json:"pair"`
}

func TestErrorsNameTheKey(t *testing.T) {
	for _, c := range [][2]string{
		{`{"rules":[{"rate":1},{"rate":"high"}]}`, `rules[1].rate: a string, where a number is expected`},
		{`{"rules":[{"id":300}]}`, `rules[0].id: 300, where an integer of 8 bits from 0 is expected`},
		{`{"rules":[{"id":1.5}]}`, `rules[0].id: 1.5, where an integer of 8 bits from 0 is expected`},
		{`{"rules":[{"enabled":0}]}`, `rules[0].enabled: 0, where true or false is expected`},
		{`{"rules":[{"Hidden":0}]}`, `rules[0].Hidden: unknown key, known are enabled, id, rate`},
		{`{"rules":[{"RATE":0}]}`, `rules[0].RATE: unknown key, known are enabled, id, rate`},
		{`{"rules":{}}`, `rules: an object, where a list is expected`},
		{`{"projects":{"42":{"rate":[]}}}`, `projects.42.rate: a list, where a number is expected`},
		{`{"projects":{"x":{}}}`, `projects.x: the key is no int`},
		{`{"names":{"a.b":1}}`, `names.'a.b': 1, where true or false is expected`},
		{`{"timeout":"5"}`, `timeout: time: missing unit in duration "5"`},
		{`{"timeout":5}`, `timeout: 5, where a string is expected`},
		{`{"limit":true}`, `limit: true, where an integer of 64 bits is expected`},
		{`{"pair":["a"]}`, `pair: a list of 1, where 2 are expected`},
		{`[]`, `a list, where an object is expected`},
		{`{} x`, `there is more text behind the value`},
		{`{"a"`, `unexpected EOF`},
	} {
		var read configuration
		if err := Parse(c[0], &read); err == nil || err.Error() != c[1] {
			t.Errorf("%s: %v", c[0], err)
		}
	}
}

func TestATypeWithoutKeys(t *testing.T) {
	want := "a: unknown key, there are none"
	if err := Parse(`{"a": 1}`, &struct{}{}); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestValuesAreRead(t *testing.T) {
	var read configuration
	err := Parse(`{"rules":[{"rate":0.5,"id":7,"enabled":true}],"projects":{"42":{"rate":1}},"names":{"a.b":true},
		"timeout":"5s","limit":null,"any":{"a":[1]},"pair":["a","b"]}`, &read)
	want := configuration{
		Rules:    []rule{{shared: shared{Enabled: true}, Rate: 0.5, ID: 7}},
		Projects: map[int]rule{42: {Rate: 1}},
		Names:    map[string]bool{"a.b": true},
		Timeout:  timeout(5 * time.Second),
		Any:      map[string]any{"a": []any{1.0}},
		Pair:     [2]string{"a", "b"},
	}
	if err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("%v, %+v", err, read)
	}
	for _, empty := range []string{"", " ", "null", "{}"} {
		if err := Parse(empty, &configuration{Pair: [2]string{"default"}}); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}
