module tamis.dev/plugin

go 1.24
