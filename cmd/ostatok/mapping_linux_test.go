package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"ostatok/agent/stock"
	"ostatok/sync/virtpos/virtpostest"
)

// office makes a VirtPOS that knows the shop's products by their codes, except
// that one code has a zero before it, one product has another code and the right
// name, and one code is there twice; and configures it as the target "till".
// office refuse makes it list nothing any more.
func officeCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if len(args) > 0 {
		w.office.Fail("item", virtpostest.Refused, 0, -1)
		return
	}
	const key = "0d9f5c1e-virtpos"
	w.office = virtpostest.New(virtpostest.Settings{Key: key})
	w.office.AddWarehouse("3", "", "Магазин")
	server := httptest.NewServer(w.office)
	ts.Defer(func() { w.office.Close(); server.Close() })
	products := slices.DeleteFunc(w.shop.Products(), func(p stock.Product) bool { return p.Service() })
	slices.SortFunc(products, func(a, b stock.Product) int { return strings.Compare(a.Name, b.Name) })
	for i, p := range products {
		item := virtpostest.Item{ID: fmt.Sprint(1000 + i), External: p.Code, Name: p.Name}
		switch i {
		case 0:
			item.External, item.Name = "0"+p.Code, "typed with a zero"
			ts.Setenv("ZERO", p.Code)
		case 1:
			item.External = "другой"
			ts.Setenv("RENAMED", p.Code)
		case 2:
			ts.Setenv("TWICE", p.Code)
			w.office.AddItem(virtpostest.Item{ID: "900", External: p.Code, Name: "the double"})
			w.office.AddItem(virtpostest.Item{ID: "901", External: "twin", Name: "the twin"})
		}
		w.office.AddItem(item)
	}
	ts.Setenv("PRODUCTS", fmt.Sprint(len(products)))
	ts.Check(os.WriteFile(ts.MkAbs("till.key"), []byte(key+"\n"), 0o600))
	config := ts.ReadFile("ostatok.toml") + fmt.Sprintf("\n[[target]]\nname = \"till\"\nkind = \"virtpos\"\nurl = %q\nkey_file = %q\n"+
		"warehouse = \"3\"\nmatch = \"code\"\nexternal = true\n", server.URL, ts.MkAbs("till.key"))
	ts.Check(os.WriteFile(ts.MkAbs("ostatok.toml"), []byte(config), 0o600))
}
