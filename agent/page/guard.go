package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const (
	bodyMost    = 64 << 10 // no form of the page is larger
	addressMost = 4 << 10  // nor any address with its query
)

// policy lets a page use its own files and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard stands before every request: it sets the headers of all answers,
// refuses names that are not the box's, requests from other sites, and what is
// too large.
func (p *Page) guard(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !p.ours(r.Host):
			http.Error(w, "This address is not the box's: open it by its IP address, or add the name to its hosts.", http.StatusMisdirectedRequest)
			return
		case len(r.RequestURI) > addressMost:
			http.Error(w, "The address is too long.", http.StatusRequestURITooLong)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyMost)
		next.ServeHTTP(w, r)
	})
}

// ours tells whether a request was meant for this box. A page of another site
// can make a browser call the box under a name whose address it changes at
// will; it cannot do so under an IP address.
func (p *Page) ours(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || slices.Contains(p.hosts, host)
}

// reads lets those read who sit at the box or have given the code.
func (p *Page) reads(r *http.Request) bool {
	return atTheBox(r) || p.o.Access.session(r) || p.o.Access.token(r)
}

// within is an address of this page that somebody named, or "/".
func within(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}
