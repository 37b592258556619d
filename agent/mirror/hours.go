package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Hours counts the documents that terminals closed since a time (epoch ms), by
// the hour of the day; ahead is how far the shop's time is ahead of UTC.
func (m *Mirror) Hours(ctx context.Context, since int64, ahead time.Duration) (hours [24]int, err error) {
	err = each(ctx, m.db.Read(), func(rows *sql.Rows) error {
		var hour, n int
		if err := rows.Scan(&hour, &n); err != nil {
			return err
		}
		if hour >= 0 && hour < len(hours) { // a document of before 1970 says nothing
			hours[hour] += n
		}
		return nil
	}, `SELECT (closed + ?) / 3600000 % 24 AS hour, count(*) FROM document WHERE closed >= ? AND source <> ? GROUP BY hour`,
		ahead.Milliseconds(), since, Own)
	if err != nil {
		return hours, fmt.Errorf("cannot count the documents of each hour: %w", err)
	}
	return hours, nil
}
