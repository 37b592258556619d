package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"ostatok/agent/config"
)

// A secret that only root can read reaches the service as systemd's copy of it.
func TestSecretsOfRootAreHandedOver(t *testing.T) {
	etc, credentials := t.TempDir(), t.TempDir()
	file := filepath.Join(etc, "ostatok.toml")
	text := "store = \"20170222-D58C-40E0-8051-B53ADFF38860\"\n[evotor]\ntoken_file = \"" + filepath.Join(etc, "secrets", "evotor.token") + "\"\n"
	for name, content := range map[string]string{file: text, filepath.Join(credentials, "secret_evotor.token"): "of-root\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := config.Load(file, nil); err == nil {
		t.Error("the file that is not there was read")
	}
	c, err := config.Load(file, []string{"CREDENTIALS_DIRECTORY=" + credentials})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Evotor.Token.Reveal(); got != "of-root" {
		t.Errorf("the token is %q", got)
	}
}
