package page

import (
	"bufio"
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"time"

	"ostatok/agent/stock"
)

const (
	stockRows = 100 // on one page of the stock
	textMost  = 200 // bytes of a search
)

// search is the text of a search, cut to what makes sense.
func (v *visit) search() string {
	q := strings.TrimSpace(v.query("q"))
	if len(q) > textMost {
		q = strings.ToValidUTF8(q[:textMost], "")
	}
	return q
}

func (p *Page) stock(v *visit) (view, error) {
	text0, by := v.search(), filter(v.query("show"))
	c, err := p.choose(v.ctx(), text0, by, place{v.query("name"), v.query("after")}, stockRows)
	if err != nil {
		return view{}, err
	}
	return view{title: v.stockTitle, at: "/stock", live: "figures", body: nodes{
		el("h1", text(v.stockTitle)),
		v.searchForm(text0, by),
		el("div", id("found"), data("live", ""),
			v.chips(c.counts, by),
			v.stockTable(c.rows),
			v.pages(c),
		),
	}}, nil
}

func (v *visit) searchForm(q string, by filter) node {
	return el("form", class("search"), attr{"role", "search"}, attr{"action", "/stock"}, data("search", ""),
		el("label", class("hidden"), attr{"for", "q"}, text(v.searchLabel)),
		el("input", id("q"), attr{"type", "search"}, attr{"name", "q"}, attr{"value", q}, attr{"placeholder", v.searchHint},
			attr{"autocomplete", "off"}, attr{"maxlength", "100"}),
		when(by != showAll, el("input", attr{"type", "hidden"}, attr{"name", "show"}, attr{"value", string(by)})),
		el("button", text(v.searchDo)),
	)
}

// chips choose a filter; each tells how many products it leaves.
func (v *visit) chips(counts map[filter]int, by filter) node {
	nav := []part{class("chips"), label(v.filterLabel)}
	for _, f := range filters {
		to := address("/stock", nil, "q", v.search(), "show", string(f))
		nav = append(nav, el("a", href(to), when(f == by, attr{"aria-current", "true"}),
			text(v.filters[f]+" "), el("b", text(v.number(counts[f])))))
	}
	export := address("/stock.csv", nil, "q", v.search(), "show", string(by))
	nav = append(nav, el("a", class("aside"), href(export), attr{"download", ""}, text(v.download)))
	return el("nav", nav...)
}

func (v *visit) stockTable(rows []Product) node {
	if len(rows) == 0 {
		return empty(v.nothingFound)
	}
	return el("table", class("cards"),
		el("caption", class("hidden"), text(v.stockTitle)),
		el("thead", el("tr", column(v.nameColumn), column(v.codeColumn), numbers(v.shelfColumn), column(v.stateColumn),
			numbers(v.reservedColumn), numbers(v.cloudColumn), column(v.asOfColumn))),
		el("tbody", each(rows, func(p Product) node {
			b := p.brief()
			return el("tr", data("product", p.Product),
				el("td", class("title"), productLink(p.Product, p.Name)),
				cell(v.codeColumn, text(p.Code)),
				numberCell(v.shelfColumn, class("big"+tone(showNegative.takes(b), " minus")), text(v.figure(p.Quantity)), v.unit(&p)),
				cell(v.stateColumn, v.state(p.State)),
				numberCell(v.reservedColumn, when(p.Reserved == nil, class("none")), text(v.figure(p.Reserved))),
				numberCell(v.cloudColumn, when(p.Cloud == nil, class("none")), when(showDrift.takes(b), class("drift")), text(v.figure(p.Cloud))),
				cell(v.asOfColumn, v.moment(p.AsOf)),
			)
		})),
	)
}

func tone(condition bool, class string) string {
	if condition {
		return class
	}
	return ""
}

func (v *visit) unit(p *Product) part {
	return when(p.Measure != "" && p.Quantity != nil, el("span", class("unit"), text(hardSpace), name(p.Measure)))
}

func (v *visit) state(s stock.State) node {
	tones := map[stock.State]string{stock.Known: "good", stock.Assumed: "warn", stock.Unresolved: "wait", stock.Unknown: "bad"}
	return badge(tones[s], v.states[s])
}

// pages leads on by the last product's place, so that no page is skipped or
// seen twice when figures change meanwhile.
func (v *visit) pages(c choice) node {
	first := v.query("after") == ""
	if first && !c.more {
		return nil
	}
	list := []part{class("pages"), label(v.pagesLabel)}
	if !first {
		list = append(list, el("a", href(address("/stock", v.r.URL.Query(), "name", "", "after", "")), text(v.firstPage)))
	}
	if c.more {
		list = append(list, el("a", class("button"), attr{"rel", "next"},
			href(address("/stock", v.r.URL.Query(), "name", c.next.key, "after", c.next.id)), text(v.nextPage)))
	}
	return el("nav", list...)
}

// stockCSV sends what the filter leaves as a table for a spreadsheet.
func (p *Page) stockCSV(w http.ResponseWriter, r *http.Request) {
	v := p.visit(w, r)
	by := filter(v.query("show"))
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="ostatok.csv"`)
	buffered := bufio.NewWriter(w)
	_, _ = buffered.WriteString("\uFEFF") // without it a spreadsheet takes Cyrillic for something else
	out := csv.NewWriter(buffered)
	out.Comma, out.UseCRLF = v.separator, true
	_ = out.Write([]string{v.codeColumn, v.nameColumn, v.groupColumn, v.shelfColumn, v.unitColumn, v.stateColumn,
		v.reservedColumn, v.availableColumn, v.cloudColumn, v.asOfColumn, "id"})
	control := http.NewResponseController(w)
	places, err := p.places(r.Context(), v.search(), by)
	for ids := range slices.Chunk(places, stockRows) {
		var list []Product
		if err == nil {
			list, err = p.o.Shop.Products(r.Context(), ids)
		}
		for i := range list {
			_ = out.Write(v.record(&list[i]))
		}
		// A large list on a slow line may take longer than one answer should.
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	if err != nil {
		p.o.Log.Error().Err(err).Msg("stock list not whole")
		// A half list must not look like a whole one: the connection breaks off.
		panic(http.ErrAbortHandler)
	}
	out.Flush()
	_ = buffered.Flush() // an error here is the visitor's going away
}

func (v *visit) record(p *Product) []string {
	asOf := ""
	if p.AsOf != nil {
		asOf = p.AsOf.In(v.now.Location()).Format(time.DateTime)
	}
	return []string{harmless(p.Code), harmless(p.Name), harmless(p.Group), v.bare(p.Quantity),
		harmless(p.Measure), v.states[p.State], v.bare(p.Reserved), v.bare(p.Available),
		v.bare(p.Cloud), asOf, harmless(p.Product)}
}

// bare is a quantity as a spreadsheet of the language reads it.
func (w *words) bare(q *stock.Quantity) string {
	if q == nil {
		return ""
	}
	return strings.Replace(q.String(), ".", w.point, 1)
}

// harmless keeps a spreadsheet from taking a name for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
