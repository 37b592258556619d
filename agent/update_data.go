package agent

import (
	"context"
	"fmt"
	"path/filepath"

	"ostatok/agent/config"
	"ostatok/agent/journal"
	"ostatok/agent/mirror"
	"ostatok/agent/sqlite"
	"ostatok/platform/update"
)

// SchemaLevel is the level of both databases, for updates and for people.
const SchemaLevel = sqlite.Level

// updateData is the shop's data as updates need it.
type updateData struct{ *Agent }

// Level implements update.Data.
func (updateData) Level() int { return SchemaLevel }

// Size implements update.Data.
func (d updateData) Size() (int64, error) {
	m, err := size(context.Background(), d.mirror.DB())
	if err != nil {
		return 0, err
	}
	j, err := size(context.Background(), d.journal.DB())
	return m + j, err
}

// Copy implements update.Data. The journal first, as in a backup.
func (d updateData) Copy(ctx context.Context, dir string) error {
	if err := d.journal.DB().Backup(ctx, filepath.Join(dir, journal.FileName)); err != nil {
		return err
	}
	return d.mirror.DB().Backup(ctx, filepath.Join(dir, mirrorName))
}

// Restore implements update.Data: it decides a restore like `ostatok restore`,
// which Open then finishes.
func (d updateData) Restore(_ context.Context, dir string) error {
	return decideRestore(d.config.DataDir, dir)
}

// SelfCheck opens a copy of the data in dir as this program would, brings it to
// its level and looks whether it is sound: what an older version asks of a newer
// one before it is switched to.
func SelfCheck(ctx context.Context, c *config.Config, o Options, dir string) (update.Report, error) {
	report := update.Report{Version: o.Build.Version, Schema: SchemaLevel}
	j, mended, err := journal.Open(ctx, journal.Options{Dir: dir, Now: o.Now, Log: o.Log})
	if err != nil {
		return report, err
	}
	if err := j.Close(); err != nil {
		return report, err
	}
	m, aside, err := mirror.Open(ctx, mirrorOptions(c, dir, o.Now, o.Log))
	if err != nil {
		return report, err
	}
	if err := m.Close(); err != nil {
		return report, err
	}
	switch {
	case mended != nil:
		return report, fmt.Errorf("this version cannot read the journal: %s", mended)
	case aside != nil && aside.Moved != "":
		return report, fmt.Errorf("this version cannot read the mirror: %s", aside.Message)
	}
	for _, name := range []string{journal.FileName, mirrorName} {
		if err := inspect(ctx, filepath.Join(dir, name)); err != nil {
			return report, err
		}
	}
	return report, nil
}
