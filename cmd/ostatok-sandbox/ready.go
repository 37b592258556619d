package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/renameio/v2"
)

// ready is what whoever started this needs to know. Keys are in files of their
// own beside the ready file, as an agent wants them.
type ready struct {
	URL   string `json:"url"`
	Store string `json:"store"`
	Token string `json:"token"`
	MQTT  string `json:"mqtt,omitempty"` // of the broker, when there is one

	VirtPOS readyBackend `json:"virtpos"`
	Zelenka readyBackend `json:"zelenka"`
	KeyCRM  readyBackend `json:"keycrm"`
}

type readyBackend struct {
	URL       string `json:"url"`
	Warehouse string `json:"warehouse"`
	Username  string `json:"username,omitempty"`
	KeyFile   string `json:"key_file"`

	key string
}

func newReady(url, store, token, mqtt string) *ready {
	return &ready{
		URL: url, Store: store, Token: token, MQTT: mqtt,
		VirtPOS: readyBackend{URL: url + "/virtpos", Warehouse: virtposWarehouse, key: virtposKey},
		Zelenka: readyBackend{URL: url + "/zelenka", Warehouse: strconv.Itoa(zelenkaWarehouse), Username: zelenkaUser, key: zelenkaKey},
		KeyCRM:  readyBackend{URL: url + "/keycrm/v1", Warehouse: strconv.Itoa(keycrmWarehouse), key: keycrmKey},
	}
}

// write tells where this serves. The file appears whole and after those that it
// names; all hold secrets, so only the owner may read them.
func (r *ready) write(file string) error {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}
	for name, b := range map[string]*readyBackend{"virtpos": &r.VirtPOS, "zelenka": &r.Zelenka, "keycrm": &r.KeyCRM} {
		b.KeyFile = filepath.Join(folder, name+".key")
		if err := renameio.WriteFile(b.KeyFile, []byte(b.key+"\n"), 0o600); err != nil {
			return fmt.Errorf("cannot write a key file: %w", err)
		}
	}
	text, err := json.Marshal(r)
	if err == nil {
		err = renameio.WriteFile(file, append(text, '\n'), os.FileMode(0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}
	return nil
}
