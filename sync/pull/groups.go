package pull

import (
	"context"
	"time"

	"ostatok/agent/mirror"
	"ostatok/sync/evotor"
)

const (
	groupsWithin = time.Minute // names are not worth a longer wait
	groupPages   = 100
)

// groups reads the names of the product groups, after everything that figures
// rest on. An application may be without the right to them, so what the cloud
// says about them is no problem of the shop's: the names that are here stay, and
// the next reading of the catalogue asks again.
func (p *Puller) groups(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, groupsWithin)
	defer cancel()
	var groups []mirror.Group
	var err error
	for cursor, pages := "", 0; err == nil && pages < groupPages; pages++ {
		var page evotor.Page
		page, err = p.cloud.Groups(within, p.o.Store, cursor, func(item evotor.Item[evotor.Group]) error {
			if item.Err == nil {
				groups = append(groups, mirror.Group{ID: item.Value.ID, Name: item.Value.Name, Parent: item.Value.Parent})
			}
			return nil
		})
		if page.Next == "" || page.Next == cursor {
			break
		}
		cursor = page.Next
	}
	if err != nil {
		p.log.Debug().Err(err).Msg("product groups not read to their end")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.mirror.PutGroups(ctx, groups)
}
