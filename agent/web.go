package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"ostatok/agent/ingest"
	"ostatok/agent/journal"
	"ostatok/agent/page"
)

// listenAgain is how long at most until an address that is taken is tried again.
const listenAgain = 15 * time.Second

// web is what the agent offers in the shop's network.
type web struct {
	page    *page.Page
	access  *accessFile
	handler http.Handler
}

// openWeb makes what is served at local.listen; nil without an address.
func (a *Agent) openWeb() (*web, error) {
	c := a.config.Local
	if c.Listen == "" {
		return nil, nil
	}
	w := &web{access: newAccessFile(c.AccessFile, a.log)}
	access, err := page.NewAccess(w.access.hash, a.now, rand.Reader)
	if err != nil {
		return nil, err
	}
	w.page = page.New(page.Options{
		Shop: &pageShop{Agent: a}, Access: access, Hosts: hostNames(c.Listen), Language: a.config.Language,
		Location: a.location, Now: a.now, Log: a.log,
	})
	mux := http.NewServeMux()
	mux.Handle("/", w.page)
	if c.Ingest {
		in := ingest.New(ingest.Options{
			Store: a.config.Store, Inbox: a.inbox, Token: w.access.token, HookTarget: a.HookTarget, Hook: a.Hook,
			Wake: a.lookAtInbox, Now: a.now, Log: a.log,
		})
		for _, path := range []string{"/api/", "/documents", "/hooks/"} {
			mux.Handle(path, in)
		}
	}
	w.handler = mux
	return w, nil
}

// hostNames are the names by which browsers may call this box.
func hostNames(listen string) []string {
	var names []string
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		names = append(names, host)
	}
	if name, err := os.Hostname(); err == nil {
		short, _, _ := strings.Cut(name, ".")
		names = append(names, name, short, short+".local")
	}
	return names
}

// serveWeb answers at local.listen until ctx ends. An address that cannot be had
// is told once and tried again: the shop's stock does not depend on its page.
func (a *Agent) serveWeb(ctx context.Context) error {
	address := a.config.Local.Listen
	told := false
	for pause := time.Second; ; pause = min(2*pause, listenAgain) {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			if told {
				a.event(ctx, "page_unreachable_over", journal.Info, "The shop's page is served at "+address+" now.", nil)
			}
			a.log.Info().Stringer("address", l.Addr()).Msg("page served")
			return page.Serve(ctx, l, a.web.handler, a.log)
		}
		if ctx.Err() != nil {
			return nil
		}
		if !told {
			told = true
			a.log.Warn().Err(err).Str("address", address).Msg("page not served")
			a.event(ctx, "page_unreachable", journal.Warning, fmt.Sprintf(
				"The shop's page cannot be served at %s (%v). Free the address, or set another one as local.listen; it is tried again by itself.", address, err), nil)
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}
