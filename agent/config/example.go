package config

import _ "embed"

// Example is the commented file that `ostatok config init` prints. Everything
// in it that is not commented out is the default.
//
//go:embed example.toml
var Example string
