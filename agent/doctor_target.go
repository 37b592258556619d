package agent

import (
	"context"

	"ostatok/agent/config"
	"ostatok/agent/local"
	"ostatok/sync/rest"
)

// checkTargets asks each target for something that changes nothing: whether it
// answers, takes the key, and has the warehouse, as far as it tells.
func (d *Doctor) checkTargets(ctx context.Context) []local.Check {
	all, err := connect(d.Config.Targets, clientOptions{
		version: d.Options.Build.Version, transport: d.Options.Transport, now: d.Options.Now, log: d.Options.Log,
	})
	if err != nil {
		return []local.Check{{Name: "targets", Status: local.Failed, Message: err.Error(), Do: "correct the configuration"}}
	}
	defer all.Close()
	checks := make([]local.Check, len(all.list))
	for i, b := range all.list {
		checks[i] = checkTarget(ctx, b)
	}
	return checks
}

func checkTarget(ctx context.Context, b *backend) local.Check {
	ctx, cancel := context.WithTimeout(ctx, 2*eachCheck)
	defer cancel()
	c := local.Check{Name: "target " + b.Name, Status: local.OK, Message: "answers and takes the key"}
	if b.Direction == config.Pull {
		c.Message += "; its differences are shown only"
	}
	note, err := b.check(ctx)
	switch rest.KindOf(err) {
	case rest.Unauthorized:
		c.Do = "copy the key again into " + b.KeyFile
	case rest.Forbidden, rest.NotFound:
		c.Do = "check url and warehouse, and the rights of the key"
	case rest.Protocol:
		c.Do = portalDo(b.URL)
	default:
		c.Do = "check url and the internet connection"
	}
	if err != nil {
		c.Status, c.Message = local.Failed, err.Error()
		return c
	}
	c.Do = ""
	if note != "" {
		c.Message += "; " + note
	}
	return c
}
