package disk

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Of returns the room of the volume that holds dir.
func Of(dir string) (Space, error) {
	var s Space
	name, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &s.Free, &s.Total, nil)
	}
	if err != nil {
		return Space{}, fmt.Errorf("cannot tell the free space of %s: %w", dir, err)
	}
	return s, nil
}

// SyncDir does nothing: NTFS journals names, and has no call for them.
func SyncDir(string) error { return nil }
