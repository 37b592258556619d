package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	sessionIdle  = 12 * time.Hour // a session ends so long after its last use
	sessionsMost = 64             // the one unused for longest makes room
	sessionName  = "ostatok_session"

	triesFree     = 5 // wrong codes before an address has to wait
	waitFirst     = 5 * time.Second
	waitMost      = 15 * time.Minute
	triesKept     = time.Hour // wrong codes are forgotten so long after the last one
	addressesMost = 512
	checksWaiting = 8 // a check costs a box much of a second; more at once are refused

	codeLeast = 8
	codeMost  = 64 // bcrypt looks at 72 bytes
)

var (
	errWrongCode = errors.New("wrong access code")
	errNoCode    = errors.New("no access code is set")
)

// lockedError says that an address has to wait after wrong codes.
type lockedError struct{ wait time.Duration }

func (e *lockedError) Error() string {
	return fmt.Sprintf("too many wrong access codes, wait %s", e.wait)
}

// Access knows the access code's hash, who has given the code, and who tried in
// vain. Sessions live in memory: a restart asks for the code again.
type Access struct {
	source func() []byte
	now    func() time.Time
	random io.Reader

	turn chan struct{} // one hash is computed at a time

	mu       sync.Mutex
	hash     []byte // as the source last gave it
	waiting  int
	sessions map[[sha256.Size]byte]time.Time // digest of the cookie → last use
	tries    map[netip.Prefix]*tries
	bearer   [sha256.Size]byte // digest of the code last found right, so that a scrape costs no hash
	key      [32]byte          // makes the digest of this process only
}

type tries struct {
	wrong int
	last  time.Time
	until time.Time
}

// NewAccess takes where the hash that HashCode made is to be had. It is asked
// for at each request, so that a code can be renewed: who came in with the old
// one is out then. An empty hash means that there is no code yet: nobody on the
// network is let in and nothing can be approved.
func NewAccess(source func() []byte, now func() time.Time, random io.Reader) (*Access, error) {
	a := &Access{
		source: source, hash: source(), now: now, random: random, turn: make(chan struct{}, 1),
		sessions: make(map[[sha256.Size]byte]time.Time), tries: make(map[netip.Prefix]*tries),
	}
	if _, err := io.ReadFull(random, a.key[:]); err != nil {
		return nil, fmt.Errorf("cannot prepare the access code: %w", err)
	}
	return a, nil
}

// HashOf returns the hash that the text of an access file holds, nil for none: the
// first line that begins like one.
func HashOf(file []byte) ([]byte, error) {
	for line := range bytes.Lines(file) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("$")) {
			continue
		}
		if _, err := bcrypt.Cost(line); err != nil {
			return nil, fmt.Errorf("the access file holds no usable hash of a code (%w): make a new code with `ostatok access`", err)
		}
		return line, nil
	}
	return nil, nil
}

// current returns the hash. A new one ends what was begun with the old.
func (a *Access) current() []byte {
	if a == nil {
		return nil
	}
	hash := a.source()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !bytes.Equal(hash, a.hash) {
		a.hash, a.bearer = hash, [sha256.Size]byte{}
		clear(a.sessions)
		clear(a.tries)
	}
	return a.hash
}

// NewCode makes an access code of 50 random bits that is easy to read aloud.
func NewCode(random io.Reader) (string, error) {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32, without those that look alike
	var b [10]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("cannot make an access code: %w", err)
	}
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b[:5]) + "-" + string(b[5:]), nil
}

// HashCode returns what the access file holds for a code of 8 to 64 characters;
// blanks, dashes and case do not count.
func HashCode(code string) ([]byte, error) {
	code = plain(code)
	if n := len(code); n < codeLeast || n > codeMost {
		return nil, fmt.Errorf("an access code has %d to %d letters and digits, this one has %d", codeLeast, codeMost, n)
	}
	return bcrypt.GenerateFromPassword([]byte(code), bcrypt.DefaultCost)
}

// plain leaves out what people add or change when they copy a code by hand.
func plain(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "", "\u00a0", "").Replace(code))
}

// check compares a code in the name of an address. The error is errWrongCode,
// errNoCode, *lockedError, or the context's.
func (a *Access) check(ctx context.Context, from netip.Addr, code string) error {
	hash := a.current()
	if len(hash) == 0 {
		return errNoCode
	}
	if err := a.enter(from); err != nil {
		return err
	}
	defer a.leave()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.turn }()
	// Others from this address may have used up its tries meanwhile.
	if err := a.locked(from); err != nil {
		return err
	}
	code = plain(code)
	if len(code) > codeMost || bcrypt.CompareHashAndPassword(hash, []byte(code)) != nil {
		return a.wrong(from)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !bytes.Equal(hash, a.hash) {
		return errWrongCode // it was renewed meanwhile
	}
	delete(a.tries, network(from))
	a.bearer = a.digest(code)
	return nil
}

func (a *Access) enter(from netip.Addr) error {
	if err := a.locked(from); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting >= checksWaiting {
		return &lockedError{waitFirst}
	}
	a.waiting++
	return nil
}

func (a *Access) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting--
}

func (a *Access) locked(from netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if t := a.tries[network(from)]; t != nil {
		// A clock that was set back must not lock anybody out for longer.
		if wait := min(t.until.Sub(now), waitMost); wait > 0 {
			return &lockedError{wait}
		}
	} else if len(a.tries) >= addressesMost && !a.room(now) && !from.IsLoopback() {
		return &lockedError{waitMost}
	}
	return nil
}

// room forgets addresses whose tries are over.
func (a *Access) room(now time.Time) bool {
	for n, t := range a.tries {
		if now.Sub(t.last) > triesKept {
			delete(a.tries, n)
		}
	}
	return len(a.tries) < addressesMost
}

func (a *Access) wrong(from netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, n := a.now(), network(from)
	t := a.tries[n]
	if t == nil || now.Sub(t.last) > triesKept {
		t = &tries{}
		a.tries[n] = t
	}
	t.wrong++
	t.last = now
	if over := t.wrong - triesFree; over >= 0 {
		t.until = now.Add(min(waitFirst<<min(over, 10), waitMost))
	}
	return errWrongCode
}

// network is what counts as one address: a household's whole IPv6 network.
func network(from netip.Addr) netip.Prefix {
	from = from.Unmap()
	bits := 64
	if from.Is4() {
		bits = 32
	}
	p, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (a *Access) digest(code string) [sha256.Size]byte {
	return sha256.Sum256(append(a.key[:], code...))
}

// open begins a session and returns its cookie.
func (a *Access) open() (*http.Cookie, error) {
	var b [32]byte
	if _, err := io.ReadFull(a.random, b[:]); err != nil {
		return nil, fmt.Errorf("cannot begin a session: %w", err)
	}
	value := base64.RawURLEncoding.EncodeToString(b[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sessions) >= sessionsMost {
		var oldest [sha256.Size]byte
		var last time.Time
		for s, t := range a.sessions {
			if last.IsZero() || t.Before(last) {
				oldest, last = s, t
			}
		}
		delete(a.sessions, oldest)
	}
	a.sessions[sha256.Sum256([]byte(value))] = a.now()
	return cookie(sessionName, value, 0), nil
}

// session tells whether the request belongs to an open session.
func (a *Access) session(r *http.Request) bool {
	c, err := r.Cookie(sessionName)
	if err != nil || len(a.current()) == 0 {
		return false
	}
	// The map's key is a digest, so how long a look-up takes tells nothing of it.
	s := sha256.Sum256([]byte(c.Value))
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.sessions[s]
	if !ok {
		return false
	}
	if now := a.now(); now.Sub(last) <= sessionIdle {
		a.sessions[s] = now
		return true
	}
	delete(a.sessions, s)
	return false
}

// end closes the session of a request.
func (a *Access) end(r *http.Request) {
	if c, err := r.Cookie(sessionName); a != nil && err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.sessions, sha256.Sum256([]byte(c.Value)))
	}
}

// token tells whether a program sent the access code as a bearer token.
func (a *Access) token(r *http.Request) bool {
	code, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(a.current()) == 0 {
		return false
	}
	a.mu.Lock()
	known := a.bearer != [sha256.Size]byte{} && a.bearer == a.digest(plain(code))
	a.mu.Unlock()
	return known || a.check(r.Context(), caller(r), code) == nil
}

// cookie is one that no script sees and no other site sends.
func cookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// caller is the address that a request came from, the zero value when unknown.
func caller(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// atTheBox tells whether somebody sits at the box itself. What a proxy on the
// box hands on comes from elsewhere.
func atTheBox(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return caller(r).IsLoopback()
}
