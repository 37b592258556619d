package agent

import (
	"fmt"
	"time"
)

// daily is a time of day in the shop's own time zone.
type daily struct {
	hour, minute int
	location     *time.Location
}

func parseDaily(text string, location *time.Location) (daily, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return daily{}, fmt.Errorf("%q is not a time of day such as 03:30", text)
	}
	return daily{t.Hour(), t.Minute(), location}, nil
}

// last is the newest set time that is not after t.
func (d daily) last(t time.Time) time.Time {
	today := d.on(t, 0)
	if today.After(t) {
		return d.on(t, -1)
	}
	return today
}

// next is the first set time after t.
func (d daily) next(t time.Time) time.Time { return d.on(d.last(t), 1) }

// on is the set time on t's day, or on a day near it.
func (d daily) on(t time.Time, days int) time.Time {
	t = t.In(d.location)
	return time.Date(t.Year(), t.Month(), t.Day()+days, d.hour, d.minute, 0, 0, d.location)
}
