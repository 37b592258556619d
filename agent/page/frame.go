package page

import (
	"net/url"
)

// frame is what all screens share.
func (v *visit) frame(shown view) node {
	file := func(name string) string { return "/assets/" + name + "?v=" + v.p.version }
	return el("html", attr{"lang", v.language},
		el("head",
			el("meta", attr{"charset", "utf-8"}),
			el("meta", attr{"name", "viewport"}, attr{"content", "width=device-width, initial-scale=1"}),
			el("meta", attr{"name", "color-scheme"}, attr{"content", "light dark"}),
			el("title", text(shown.title+" · "+v.brand)),
			el("link", attr{"rel", "icon"}, href(file("sign.svg"))),
			el("link", attr{"rel", "stylesheet"}, href(file("page.css"))),
			el("script", attr{"src", file("page.js")}, attr{"defer", ""}),
		),
		el("body", when(shown.live != "", data("follow", shown.live)),
			el("a", class("skip"), attr{"href", "#main"}, text(v.skip)),
			el("header", class("top"),
				el("a", class("brand"), href("/"), text(v.brand)),
				when(v.p.o.Shop != nil, v.menu(shown.at)),
				v.corner(),
			),
			el("main", id("main"), shown.body),
		),
	)
}

func (v *visit) menu(at string) node {
	entry := func(address, title string) node {
		return el("a", href(address), when(at == address, attr{"aria-current", "page"}), text(title))
	}
	return el("nav", label(v.menuLabel),
		entry("/", v.overviewTitle), entry("/stock", v.stockTitle), entry("/count", v.countTitle),
		entry("/plan", v.planTitle), entry("/targets", v.targetsTitle), entry("/events", v.eventsTitle),
	)
}

// corner holds the switch of the language and the way out.
func (v *visit) corner() node {
	other := map[string]string{"ru": "en", "en": "ru"}[v.language]
	return el("div", class("corner"),
		el("a", href(v.with("lang", other)), attr{"hreflang", other}, attr{"lang", other}, text(v.p.words[other].languageSelf)),
		when(v.session, el("form", attr{"method", "post"}, attr{"action", "/logout"},
			el("button", class("plain"), text(v.logOut)))),
	)
}

// with is this screen's address with one part of its query set, or taken out.
// The answer to a form has no address of its own; then it is the overview's.
func (v *visit) with(key, value string) string {
	u := url.URL{Path: "/"}
	if v.r.Method == "GET" {
		u.Path, u.RawQuery = v.r.URL.Path, v.r.URL.RawQuery
	}
	return within(address(u.Path, u.Query(), key, value))
}

// address puts a path and a query together with pairs of keys and values set.
func address(path string, query url.Values, pairs ...string) string {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// badge is a state in a word and a colour; a colour alone would say nothing to
// many.
func badge(tone, word string) node { return el("span", class("badge "+tone), text(word)) }

// fact is a name with its value.
func fact(title string, value ...part) node {
	return el("div", class("fact"), el("dt", text(title)), el("dd", value...))
}

func column(title string) node { return el("th", attr{"scope", "col"}, text(title)) }

func numbers(title string) node {
	return el("th", attr{"scope", "col"}, class("num"), text(title))
}

// cell names its column for narrow screens, where a row is a card.
func cell(title string, content ...part) node {
	return el("td", data("title", title), parts(content))
}

func numberCell(title string, content ...part) node {
	return cell(title, class("num"), parts(content))
}

// productLink leads from a name to its product.
func productLink(productID, productName string) node {
	if productName == "" {
		productName = productID
	}
	return el("a", href(address("/product", nil, "id", productID)), name(productName))
}

func empty(sentence string) node { return el("p", class("empty"), text(sentence)) }
