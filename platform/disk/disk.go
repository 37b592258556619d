// Package disk tells how much room a directory has, and makes names durable.
package disk

// Space is the room of the file system that holds a directory, in bytes.
type Space struct {
	Free  uint64 // what this user may still write
	Total uint64
}
