package page

import (
	"slices"
	"strings"

	"ostatok/agent/stock"
)

// countMost bounds the list: what stands behind it comes when these are done.
const countMost = 1000

// count is the list to take to the shelves, printable, by group.
func (p *Page) count(v *visit) (view, error) {
	var ids []string
	left := 0
	for b, err := range p.briefs(v.ctx(), "") {
		switch {
		case err != nil:
			return view{}, err
		case !countable(&b):
		case len(ids) == countMost:
			left++
		default:
			ids = append(ids, b.ID)
		}
	}
	list, err := p.o.Shop.Products(v.ctx(), ids)
	if err != nil {
		return view{}, err
	}
	slices.SortFunc(list, func(a, b Product) int {
		if c := strings.Compare(alphabetic(strings.ToLower(a.Group)), alphabetic(strings.ToLower(b.Group))); c != 0 {
			return c
		}
		return a.brief().place().compare(b.brief().place())
	})
	body := nodes{el("h1", text(v.countTitle))}
	if len(list) == 0 {
		return view{title: v.countTitle, at: "/count", body: append(body, empty(v.nothingToCount))}, nil
	}
	body = append(body,
		el("p", text(v.countText)),
		el("p", class("paper"), text(v.text(v.now))),
		el("button", class("main print"), attr{"type", "button"}, data("print", ""), text(v.printDo)),
		el("table", class("cards sheet"),
			el("caption", class("hidden"), text(v.countTitle)),
			el("thead", el("tr", column(v.nameColumn), column(v.codeColumn), numbers(v.shownColumn), column(v.whyColumn), column(v.countedColumn))),
			v.countGroups(list),
		),
	)
	if left > 0 {
		body = append(body, el("p", class("note"), text(v.countLeft(v.plural(left, v.products)))))
	}
	return view{title: v.countTitle, at: "/count", body: body}, nil
}

func (v *visit) countGroups(list []Product) nodes {
	var groups nodes
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Group == list[0].Group {
			n++
		}
		title := list[0].Group
		if title == "" {
			title = v.noGroup
		}
		groups = append(groups, el("tbody",
			el("tr", class("group"), el("th", attr{"scope", "rowgroup"}, attr{"colspan", "5"}, name(title))),
			each(list[:n], func(p Product) node {
				return el("tr",
					el("td", class("title"), productLink(p.Product, p.Name)),
					cell(v.codeColumn, text(p.Code)),
					numberCell(v.shownColumn, text(v.figure(p.Quantity)), v.unit(&p)),
					cell(v.whyColumn, text(v.why(&p))),
					cell(v.countedColumn, class("blank")),
				)
			}),
		))
		list = list[n:]
	}
	return groups
}

// why says why a product is on the list.
func (v *visit) why(p *Product) string {
	switch {
	case showNegative.takes(p.brief()):
		return v.whyNegative
	case p.Reason != "":
		return v.reasons[p.Reason]
	}
	return v.reasons[stock.ReasonNothing]
}
