// Rates by environment, from 0 to 1; what has none is kept.
package main

import (
	"fmt"

	"tamis.dev/plugin"
)

// Config is the stage's configuration.
type Config struct {
	Rates map[string]float64 `json:"rates"`
}

// Sampler knows the rates.
type Sampler struct {
	rates map[string]float64
}

// New makes a sampler with that configuration. Its errors begin with the path of the key that is wrong.
func New(config Config) (*Sampler, error) {
	for environment, rate := range config.Rates {
		if rate < 0 || rate > 1 {
			return nil, fmt.Errorf("rates.%s: %v, where a number from 0 to 1 is expected", environment, rate)
		}
	}
	return &Sampler{config.Rates}, nil
}

// Sample gives the rate of one event.
func (s *Sampler) Sample(event plugin.Event) plugin.Rate {
	environment := event.Text("environment")
	if rate, known := s.rates[environment]; known {
		return plugin.SampleAt(rate, environment)
	}
	return plugin.KeepAll
}

func init() {
	plugin.ExportSampler(New)
}

// A component has no main: the host calls what init exports.
func main() {}
