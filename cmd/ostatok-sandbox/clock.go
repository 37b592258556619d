package main

import (
	"sync"
	"time"
)

// clock is the shop's time: it begins where the shop's
// history ends and runs at its own speed.
type clock struct {
	mu    sync.Mutex
	real  func() time.Time
	speed float64
	mark  time.Time // real time at which the shop's was at
	at    time.Time
}

// newClock makes a clock that shows at now.
func newClock(real func() time.Time, at time.Time, speed float64) *clock {
	return &clock{real: real, speed: speed, mark: real(), at: at}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time {
	return c.at.Add(time.Duration(float64(c.real().Sub(c.mark)) * c.speed))
}

// fastest is what a clock may run at: eleven days a second.
const fastest = 1_000_000

// run lets the clock run at another speed from now on.
func (c *clock) run(speed float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.mark, c.speed = c.now(), c.real(), speed
}

// advance jumps ahead.
func (c *clock) advance(by time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.mark = c.now().Add(by), c.real()
	return c.at
}
