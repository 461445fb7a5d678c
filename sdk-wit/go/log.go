package plugin

import (
	"fmt"

	"tamis.dev/plugin/internal/host"
)

// Lines of the host's log carry the stage and its generation, are cut at 4 KiB, and limited in number. What is printed with the packages
// fmt and log ends there, too. In a test, all of it goes to standard error.

// Errorf logs that something failed that an operator should look at.
func Errorf(format string, args ...any) {
	logf(host.Error, format, args)
}

// Warnf logs that something is odd, and goes on.
func Warnf(format string, args ...any) {
	logf(host.Warn, format, args)
}

// Infof logs something worth knowing, once in a while.
func Infof(format string, args ...any) {
	logf(host.Info, format, args)
}

// Debugf logs something for the author.
func Debugf(format string, args ...any) {
	logf(host.Debug, format, args)
}

func logf(level host.Level, format string, args []any) {
	host.Log(level, valid(fmt.Sprintf(format, args...)))
}
