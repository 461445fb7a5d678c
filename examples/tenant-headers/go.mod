module tenant-headers

go 1.24

require tamis.dev/plugin v0.0.0

replace tamis.dev/plugin => ../../sdk-wit/go
