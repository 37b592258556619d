package agent

import (
	"net/http"
	"time"

	"ostatok/agent/config"
	"ostatok/platform/network"
	"ostatok/platform/zone"
	"ostatok/sync/rest"
)

// wayOut is how connections of a shop are opened.
func wayOut(c *config.Config, o Options) *network.Network {
	n := &network.Network{Dialer: o.Dialer}
	for _, text := range c.DNS {
		if server, err := network.ParseServer(text); err == nil { // the configuration has refused others
			n.DNS = append(n.DNS, server)
		}
	}
	return n
}

// transport carries the requests of a shop: one pool for all systems, so that
// they find their way alike.
func transport(c *config.Config, o Options) http.RoundTripper {
	if o.Transport != nil {
		return o.Transport
	}
	return rest.NewTransport(wayOut(c, o).DialContext)
}

// location is the shop's time zone: what the configuration says, or else what the
// box says. The error tells that neither does; the zone is UTC then.
func location(c *config.Config, o Options) (*time.Location, error) {
	if o.Location != nil {
		return o.Location, nil
	}
	if c.Timezone != "" {
		return zone.Load(c.Timezone)
	}
	return zone.Box()
}
