package local

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Restored is what a restore brought back.
type Restored struct {
	At time.Time `json:"at"` // when its backup was made
}

// reopening is how long an agent may take to close its files, move the restored
// ones into place and answer again: a large mirror that must be computed anew
// takes a cheap box this long.
const reopening = 2 * time.Minute

func answerRestore(answer func(string, func(*http.Request, func(any) error) error), shop Shop) {
	answer("POST /restore", func(r *http.Request, send func(any) error) error {
		return one(send)(shop.Restore(r.Context(), r.Body))
	})
}

// Restore implements Shop. It returns when the agent has verified the archive and
// is about to end; AwaitNext tells when it is back.
func (c *Client) Restore(ctx context.Context, r io.Reader) (Restored, error) {
	var result Restored
	err := exchange(ctx, c, http.MethodPost, "/restore", url.Values{}, r, func(item Restored) error {
		result = item
		return nil
	})
	return result, err
}

// AwaitNext waits for the agent that follows the one of an opening (Status), and
// tells whether it came.
func AwaitNext(ctx context.Context, dir, opening string) bool {
	ctx, cancel := context.WithTimeout(ctx, reopening)
	defer cancel()
	const step = 200 * time.Millisecond
	for ctx.Err() == nil {
		if c, err := Dial(ctx, dir); err == nil {
			s, err := c.Status(ctx)
			_ = c.Close() // only read
			if err == nil && s.Opening != opening {
				return true
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(step):
		}
	}
	return false
}
