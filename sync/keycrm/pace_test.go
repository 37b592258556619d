package keycrm_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ostatok/sync/keycrm"
	"ostatok/sync/keycrm/keycrmtest"
)

// most is the largest number of the times that lie within any window.
func most(times []time.Time, window time.Duration) int {
	slices.SortFunc(times, time.Time.Compare)
	largest, first := 0, 0
	for i := range times {
		for times[i].Sub(times[first]) >= window {
			first++
		}
		largest = max(largest, i-first+1)
	}
	return largest
}

// transport answers with what a test draws, and notes when it was asked.
type transport struct {
	clock *clock
	draw  func() (status int, took time.Duration, header http.Header)

	mu    sync.Mutex
	times []time.Time
}

func (n *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.times = append(n.times, n.clock.Now())
	status, took, header := n.draw()
	n.clock.Advance(took)
	return &http.Response{StatusCode: status, Header: header, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"data":[],"total":0,"next_page_url":null,"status":true}`))}, nil
}

// Whatever is called, whatever is answered, however late the machine wakes up: no
// minute has more requests than the limit.
func TestRateIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := newClock()
		rate := rapid.IntRange(1, 200).Draw(rt, "rate")
		answers := &transport{clock: clock}
		answers.draw = func() (int, time.Duration, http.Header) {
			h := http.Header{}
			if wait := rapid.IntRange(-1, 90).Draw(rt, "retry_after"); wait >= 0 {
				h.Set("Retry-After", fmt.Sprint(wait))
			}
			if limit := rapid.IntRange(-1, 300).Draw(rt, "limit"); limit >= 0 {
				h.Set("X-RateLimit-Limit", fmt.Sprint(limit))
				h.Set("X-RateLimit-Remaining", fmt.Sprint(rapid.IntRange(0, 2).Draw(rt, "remaining")))
			}
			return rapid.SampledFrom([]int{200, 200, 200, 429, 500, 404}).Draw(rt, "status"),
				time.Duration(rapid.IntRange(0, 9000).Draw(rt, "took")) * time.Millisecond, h
		}
		c, err := keycrm.New(keycrm.Options{Key: key, Rate: rate, Transport: answers, Now: clock.Now,
			Sleep: func(ctx context.Context, d time.Duration) error {
				// A box that was suspended, or is merely slow, wakes up late.
				late := time.Duration(rapid.SampledFrom([]int{0, 0, 1, 300, 70_000}).Draw(rt, "late")) * time.Millisecond
				return clock.Sleep(ctx, d+late)
			}})
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "calls") {
			// What comes back is the transport's whim; when it was asked is the test.
			switch rapid.IntRange(0, 3).Draw(rt, "call") {
			case 0:
				_ = c.BySKU(t.Context(), []string{"a"}, nil)
			case 1:
				_ = c.SetStocks(t.Context(), 1, []keycrm.Row{{SKU: "a"}})
			case 2:
				_, _ = c.Order(t.Context(), 1)
			case 3:
				clock.Advance(time.Duration(rapid.IntRange(0, 100).Draw(rt, "idle")) * time.Second)
			}
		}
		if n := most(answers.times, time.Minute); n > rate {
			rt.Fatalf("%d requests in a minute, %d are allowed", n, rate)
		}
	})
}

// The same through real HTTP, with callers side by side: a sweep, a delivery and
// webhooks share one budget, and a server that counts strictly refuses none.
func TestCallersShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 1000, keycrmtest.Options{Latency: 700 * time.Millisecond}, nil)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := c.Sweep(t.Context(), func() {}, func(keycrm.Offer) error { return nil }); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				for range 10 {
					if err := c.SetStocks(t.Context(), shopHouse, []keycrm.Row{{SKU: sku(1), Quantity: 1}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var times []time.Time
		for _, r := range crm.Requests() {
			if r.Status == http.StatusTooManyRequests {
				t.Fatalf("refused at %v", r.At)
			}
			times = append(times, r.At)
		}
		if n := most(times, time.Minute); n > 20 || len(times) != 90 {
			t.Errorf("%d requests, %d in a minute", len(times), n)
		}
	})
}

// A sweep takes hardly longer than the rate limit dictates (design §6: 5 %).
func TestSweepTakesNoLongerThanTheLimitDictates(t *testing.T) {
	for _, rate := range []int{20, 60} {
		synctest.Test(t, func(t *testing.T) {
			const offers = 5399 // a real account (backends.md §3.2)
			c, _ := account(t, offers, keycrmtest.Options{Rate: rate, Told: true, Latency: 400 * time.Millisecond}, func(o *keycrm.Options) { o.Rate = rate })
			start := time.Now()
			got, err := sweep(t, c)
			if err != nil || len(got) != offers {
				t.Fatal(len(got), err)
			}
			pages := (offers + 49) / 50
			dictated := time.Duration(pages) * time.Minute / time.Duration(rate)
			took := time.Since(start)
			t.Logf("%d pages at %d a minute: %v, dictated %v (%+.1f %%)", pages, rate, took, dictated, 100*(took.Seconds()/dictated.Seconds()-1))
			if took > dictated*105/100 {
				t.Errorf("a sweep took %v, the limit dictates %v", took, dictated)
			}
		})
	}
}

// After a restart the pace goes on as if there had been none.
func TestRestartDoesNotBeginWithABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crm := keycrmtest.New(keycrmtest.Options{})
		h := serve(t, crm)
		for range 50 {
			c, err := keycrm.New(keycrm.Options{URL: "http://keycrm.test/v1", Key: key, Transport: h})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.BySKU(t.Context(), []string{"a"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range crm.Requests() {
			if r.Status != http.StatusOK {
				t.Fatalf("%d at %v", r.Status, r.At)
			}
		}
	})
}

// A clock that is set back must neither stop us for years nor let us rush.
func TestPaceSurvivesAClockSetBack(t *testing.T) {
	clock := newClock()
	answers := &transport{clock: clock, draw: func() (int, time.Duration, http.Header) { return http.StatusOK, 0, http.Header{} }}
	var waited time.Duration
	c, err := keycrm.New(keycrm.Options{Key: key, Transport: answers, Now: clock.Now,
		Sleep: func(ctx context.Context, d time.Duration) error { waited += d; return clock.Sleep(ctx, d) }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		waited = 0
		if err := c.BySKU(t.Context(), []string{"a"}, nil); err != nil || waited != 3060*time.Millisecond {
			t.Errorf("waited %v, %v", waited, err)
		}
		clock.Advance(-20 * 365 * 24 * time.Hour)
	}
}

// gaps are the times between requests, in seconds.
func gaps(crm *keycrmtest.CRM) (list []float64) {
	requests := crm.Requests()
	for i := 1; i < len(requests); i++ {
		list = append(list, requests[i].At.Sub(requests[i-1].At).Seconds())
	}
	return list
}

// Refusals stretch the pace, and it comes back by degrees.
func TestPaceAdaptsToRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 5000, keycrmtest.Options{}, nil)
		crm.Fail("GET", keycrmtest.Limited, 2, 1) // Retry-After: 7
		if _, err := sweep(t, c); err != nil {
			t.Fatal(err)
		}
		got := gaps(crm)
		if got[0] != 3.06 || got[1] != 3.06 || got[2] != 7 {
			t.Errorf("before: %v", got[:4])
		}
		if got[3] < 5.8 || got[3] > 6.2 || got[10] >= got[3] || slices.Min(got) < 3.06 || got[len(got)-1] != 3.06 {
			t.Errorf("after: %v", got)
		}
	})
}

// Requests that were under way together and are refused together say one thing,
// and slow us down once.
func TestRefusalsOfOneMomentCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, crm := account(t, 1, keycrmtest.Options{Rate: -1, Latency: 5 * time.Second}, func(o *keycrm.Options) { o.Rate = 600 })
		crm.Fail("GET", keycrmtest.Limited, 0, 6)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if err := c.BySKU(t.Context(), skus(1), func(keycrm.Offer) error { return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := gaps(crm)[6:]; len(got) != 5 || slices.Max(got) > 0.25 {
			t.Errorf("%v s apart, before it was 0.102", got)
		}
	})
}

// A limit lower than configured is found out by refusals alone, and taken from
// the header where there is one.
func TestPaceFindsALowerLimit(t *testing.T) {
	for name, o := range map[string]keycrmtest.Options{
		"Retry-After": {Rate: 6}, "nothing said": {Rate: 6, Mute: true}, "told": {Rate: 6, Told: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, crm := account(t, 2000, o, func(o *keycrm.Options) { o.Rate = 60 })
			start := time.Now()
			if offers, err := sweep(t, c); err != nil || len(offers) != 2000 {
				t.Fatal(name, len(offers), err)
			}
			refused := 0
			for _, r := range crm.Requests() {
				if r.Status == http.StatusTooManyRequests {
					refused++
				}
			}
			if name == "told" && refused != 0 {
				t.Errorf("%d requests were refused though the limit was told", refused)
			}
			if took, dictated := time.Since(start), 40*10*time.Second; refused > 30 || took > 2*dictated {
				t.Errorf("%s: %d refused in %v, dictated %v", name, refused, took, dictated)
			}
		})
	}
}

// Others who use the key slow us down and do not stop us.
func TestAnotherUserOfTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crm := keycrmtest.New(keycrmtest.Options{})
		h := serve(t, crm)
		for i := range 500 {
			crm.AddOffer(sku(i))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var other sync.WaitGroup
		other.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://keycrm.test/v1/offers/stocks", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+key)
				if resp, err := h.RoundTrip(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				time.Sleep(4 * time.Second)
			}
		})
		c, err := keycrm.New(keycrm.Options{URL: "http://keycrm.test/v1", Key: key, Transport: h})
		if err != nil {
			t.Fatal(err)
		}
		if offers, err := sweep(t, c); err != nil || len(offers) != 500 {
			t.Error(len(offers), err)
		}
		cancel()
		other.Wait()
	})
}
