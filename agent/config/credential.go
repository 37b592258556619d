package config

import (
	"os"
	"path/filepath"
	"strings"
)

// secretsDir is the directory beside the configuration whose files belong to root
// alone. systemd hands copies of them to the service.
const secretsDir = "secrets"

// handedOver puts the copies that the service manager made for this process in
// the place of secrets that only root can read.
func (c *Config) handedOver(environ []string) {
	dir := ""
	for _, e := range environ {
		if d, ok := strings.CutPrefix(e, "CREDENTIALS_DIRECTORY="); ok {
			dir = d
		}
	}
	if dir == "" {
		return
	}
	files := []*string{&c.Evotor.TokenFile, &c.MQTT.PasswordFile, &c.MQTT.CertFile, &c.MQTT.KeyFile}
	for i := range c.Targets {
		files = append(files, &c.Targets[i].KeyFile, &c.Targets[i].HookSecretFile)
	}
	for _, f := range files {
		if filepath.Dir(*f) != filepath.Join(filepath.Dir(c.File), secretsDir) {
			continue
		}
		own := filepath.Join(dir, "secret_"+filepath.Base(*f))
		if _, err := os.Stat(own); err == nil {
			*f = own
		}
	}
}
