package page

import (
	"strconv"
	"strings"
	"time"

	"ostatok/agent/local"
	"ostatok/agent/stock"
)

const (
	chartWide = 600
	chartHigh = 160
)

// point is the level after one document.
type point struct {
	at    int64 // epoch ms
	level stock.Quantity
	mark  string // "count" or "outside", "" for none
}

// history draws the level over time as steps. The drawing stretches to the
// screen, so its words stand beside it and not in it.
func (v *visit) history(e *local.Explanation) part {
	points := make([]point, 0, len(e.Steps))
	for i := range e.Steps {
		s := &e.Steps[i]
		if s.Level == nil {
			continue
		}
		p := point{at: s.At.UnixMilli(), level: *s.Level}
		switch {
		case s.Rule == stock.RuleOutside:
			p.mark = "outside"
		case s.Type == stock.Inventory:
			p.mark = "count"
		}
		points = append(points, p)
	}
	if len(points) < 2 {
		return nil
	}
	d := draw(points, v.now.UnixMilli())
	svg := el("svg", attr{"viewBox", "0 0 " + strconv.Itoa(chartWide) + " " + strconv.Itoa(chartHigh)},
		attr{"preserveAspectRatio", "none"}, attr{"role", "img"}, attr{"aria-labelledby", "chart"},
		el("title", id("chart"), text(v.chartLabel(v.quantity(d.least), v.quantity(d.most)))),
		path("zero", d.zero), path("area", d.area), path("line", d.line), path("count", d.counts), path("outside", d.outside),
	)
	from, to := time.UnixMilli(points[0].at), v.now
	return el("section",
		el("h2", text(v.chartTitle)),
		el("figure", class("chart"),
			el("div", class("scale"), el("span", text(v.quantity(d.most))), el("span", text(v.quantity(d.least)))),
			svg,
			el("div", class("dates"), el("span", text(v.dateOnly(from))), el("span", text(v.dateOnly(to)))),
			el("figcaption",
				when(d.counts != "", el("span", class("key count"), text(v.countKey))),
				when(d.outside != "", el("span", class("key outside"), text(v.outsideKey))),
			),
		),
	)
}

func path(name, d string) part {
	return when(d != "", el("path", class(name), attr{"d", d}, attr{"vector-effect", "non-scaling-stroke"}))
}

// drawing is the paths of a chart.
type drawing struct {
	line, area, zero, counts, outside string
	least, most                       stock.Quantity
}

// draw makes the paths. However long the history, the line has at most four
// turns for each point of its width: the first, the least, the greatest and the
// last level there.
func draw(points []point, now int64) drawing {
	d := drawing{}
	for _, p := range points {
		d.least, d.most = min(d.least, p.level), max(d.most, p.level)
	}
	if d.most == d.least {
		d.most = d.least + stock.Unit
	}
	from, to := points[0].at, max(now, points[len(points)-1].at)
	x := func(at int64) int64 { return (at - from) * chartWide / max(1, to-from) }
	y := func(q stock.Quantity) int64 {
		const edge = 4 // a line on the very edge would be cut
		// Quantities go up to 10^15: as floats, or the product would overflow.
		share := float64(q-d.least) / float64(d.most-d.least)
		return chartHigh - edge - int64(share*(chartHigh-2*edge))
	}
	var line, counts, outside strings.Builder
	move := func(b *strings.Builder, command byte, n int64) {
		b.WriteByte(command)
		b.WriteString(strconv.FormatInt(n, 10))
	}
	dot := func(b *strings.Builder, x, y int64) { // a line of no length with a round end
		move(b, 'M', x)
		move(b, ' ', y)
		b.WriteString("h0")
	}
	move(&line, 'M', 0)
	move(&line, ' ', y(points[0].level))
	for i := 0; i < len(points); {
		at, low, high, j := x(points[i].at), y(points[i].level), y(points[i].level), i
		for ; j < len(points) && x(points[j].at) == at; j++ {
			low, high = min(low, y(points[j].level)), max(high, y(points[j].level))
		}
		last := y(points[j-1].level)
		move(&line, 'H', at)
		for _, at := range []int64{low, high, last} {
			move(&line, 'V', at)
		}
		for _, p := range points[i:j] {
			switch p.mark {
			case "count":
				dot(&counts, at, y(p.level))
			case "outside":
				dot(&outside, at, y(p.level))
			}
			if p.mark != "" {
				break // one mark at one place
			}
		}
		i = j
	}
	line.WriteString("H" + strconv.Itoa(chartWide))
	d.line, d.counts, d.outside = line.String(), counts.String(), outside.String()
	ground := strconv.FormatInt(y(0), 10)
	d.zero = "M0 " + ground + "H" + strconv.Itoa(chartWide)
	d.area = d.line + "V" + ground + "H0Z"
	return d
}
