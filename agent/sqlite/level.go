//go:build !nextlevel

package sqlite

// Level is the schema level of all our databases: releases of one level open each
// other's files, so going back within it is safe. A release that raises it starts
// its trial from a copy of the data, and going back puts that copy back.
const Level = 0
