package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func (d *demo) config() string { return filepath.Join(d.dir, "ostatok.toml") }

// configure writes what an installer would. Only the rates are a demo's: a real
// KeyCRM takes 20 requests a minute, and then the demo would take a quarter of an
// hour.
func (d *demo) configure() error {
	token := filepath.Join(d.dir, "evotor.token")
	if err := os.WriteFile(token, []byte(d.shop.Token+"\n"), 0o600); err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(d.dir, "data"))
	if err != nil {
		return err
	}
	token, err = filepath.Abs(token)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`store    = %q
data_dir = %q

[evotor]
url        = %q
token_file = %q
write      = "approve"
poll       = "10s"
`, d.shop.Store, data, d.shop.URL, token) + fmt.Sprintf(`
[[target]]
name      = "virtpos"
kind      = "virtpos"
url       = %q
key_file  = %q
warehouse = %q
match     = "code"
external  = true
write     = "approve"
`, d.shop.VirtPOS.URL, d.shop.VirtPOS.KeyFile, d.shop.VirtPOS.Warehouse) + fmt.Sprintf(`
[[target]]
name      = "zelenka"
kind      = "zelenka"
url       = %q
username  = %q
key_file  = %q
warehouse = %q
match     = "id"
quantity  = "available"
write     = "approve"
`, d.shop.Zelenka.URL, d.shop.Zelenka.Username, d.shop.Zelenka.KeyFile, d.shop.Zelenka.Warehouse) + fmt.Sprintf(`
[[target]]
name      = "keycrm"
kind      = "keycrm"
url       = %q
key_file  = %q
warehouse = %q
match     = "article"
rate      = 6000
write     = "approve"
`, d.shop.KeyCRM.URL, d.shop.KeyCRM.KeyFile, d.shop.KeyCRM.Warehouse)
	return os.WriteFile(d.config(), []byte(text), 0o600)
}
