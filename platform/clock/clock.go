// Package clock judges the time of a box that may have no battery for it.
package clock

import (
	"fmt"
	"time"
)

// ahead is how far above its build a program may believe the date to be. Boards
// without a clock start in 1970 or 2000, and now and then in 2100.
const ahead = 20 * 365 * 24 * time.Hour

// slack is what the clock may step back against a time seen before: a
// synchronised clock is corrected by less.
const slack = 10 * time.Minute

// far is a difference to the cloud's clock that no network delay explains.
const far = 5 * time.Minute

// UntrustedError says why the clock cannot be right.
type UntrustedError struct {
	Now    time.Time
	Reason string
}

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("the clock says %s, which %s", e.Now.UTC().Format(time.RFC3339), e.Reason)
}

// Trusted returns *UntrustedError when now cannot be right: before the program
// was built, before a time that was seen already, or far beyond both. A zero
// build or seen is not judged by.
func Trusted(now, build, seen time.Time) error {
	switch {
	case !build.IsZero() && now.Before(build):
		return &UntrustedError{now, "is before this program was built (" + build.UTC().Format(time.DateOnly) + ")"}
	case !seen.IsZero() && now.Before(seen.Add(-slack)):
		return &UntrustedError{now, "is before a time already seen (" + seen.UTC().Format(time.RFC3339) + ")"}
	case !build.IsZero() && now.After(build.Add(ahead)):
		return &UntrustedError{now, "is decades after this program was built (" + build.UTC().Format(time.DateOnly) + ")"}
	}
	return nil
}

// crystal is the share of a time span by which a cheap board may mismeasure it.
const crystal = 500

// Compare returns *UntrustedError when now is far from what a server said at the
// same moment.
func Compare(now, server time.Time) error { return CompareAfter(now, server, 0) }

// CompareAfter is Compare with what a server said some time ago, as measured by
// this process and not by the clock in question.
func CompareAfter(now, server time.Time, elapsed time.Duration) error {
	d := now.Sub(server.Add(elapsed))
	if d.Abs() <= far+elapsed/crystal {
		return nil
	}
	word := "ahead of"
	if d < 0 {
		word = "behind"
	}
	d = d.Abs().Round(time.Minute)
	size := d.String()
	if days := d / (24 * time.Hour); days >= 2 {
		size = fmt.Sprintf("%d days", days)
	}
	return &UntrustedError{now, fmt.Sprintf("is %s %s the cloud's clock", size, word)}
}
