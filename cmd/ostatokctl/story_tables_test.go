package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The page's table of attacks is the one that the attacks were tried with.
func TestProtocolHasTheSecurityTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join("..", "..", "agent", "remote", "testdata", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n\n"+string(table)+"\n") {
		t.Errorf("docs/PROTOCOL.md lacks this table:\n%s", table)
	}
}
