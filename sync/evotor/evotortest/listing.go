package evotortest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// listing is a list that is being read page by page. A cursor pins it: what
// comes in later is not in it.
type listing struct {
	path  string
	items [][]byte
	bad   []byte
	limit int
	made  time.Time
}

// keptListings bounds memory; the oldest cursors go stale first.
const keptListings = 512

// cursorSalt makes cursors need escaping in a URL: base64 of it begins "+/".
const cursorSalt = "\xfb\xff\xbf"

// list answers a request for a list: its first page, made by all, or the page
// of a cursor. bad is what a bad item of the list looks like.
func (c *Cloud) list(r *http.Request, bad string, all func() ([][]byte, *reply)) reply {
	query := r.URL.Query()
	if cursor := query.Get("cursor"); cursor != "" {
		return c.nextPage(r.URL.Path, cursor)
	}
	limit := c.options.PageSize
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return failure(http.StatusBadRequest, "limit must be a positive number")
		}
		limit = min(n, limit)
	}
	items, refused := all()
	if refused != nil {
		return *refused
	}
	l := &listing{path: r.URL.Path, items: items, bad: []byte(bad), limit: limit, made: c.options.Now()}
	if c.options.BareArrays {
		l.limit = max(len(items), 1)
	}
	id := uint64(0)
	if len(items) > l.limit {
		id = c.keep(l)
	}
	return c.pageOf(l, id, 0, false)
}

func (c *Cloud) keep(l *listing) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	c.listings[c.lastID] = l
	delete(c.listings, c.lastID-keptListings)
	return c.lastID
}

func (c *Cloud) nextPage(path, cursor string) reply {
	var id uint64
	var offset, hollow int
	raw, err := base64.StdEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), cursorSalt+"%d:%d:%d", &id, &offset, &hollow)
	}
	if err != nil {
		return failure(http.StatusBadRequest, "cursor is malformed")
	}
	c.mu.Lock()
	l := c.listings[id]
	c.mu.Unlock()
	if l == nil || l.path != path || offset > len(l.items) ||
		(c.options.CursorLife > 0 && c.options.Now().Sub(l.made) > c.options.CursorLife) {
		return failure(c.options.StaleCode, "cursor not found")
	}
	return c.pageOf(l, id, offset, hollow == 0 && c.options.EmptyPages)
}

func (c *Cloud) pageOf(l *listing, id uint64, offset int, hollow bool) reply {
	p := &page{bad: l.bad}
	end, mark := offset, 1
	if !hollow {
		end, mark = min(offset+l.limit, len(l.items)), 0
		p.items = l.items[offset:end]
	}
	if end < len(l.items) {
		p.next = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, cursorSalt+"%d:%d:%d", id, end, mark))
	}
	return reply{status: http.StatusOK, page: p}
}

// milliseconds reads a time of the query, epoch ms.
func milliseconds(r *http.Request, name string, otherwise int64) (int64, *reply) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		refused := failure(http.StatusBadRequest, name+" must be epoch milliseconds")
		return 0, &refused
	}
	return n, nil
}
