package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

const exampleConfig = `urls              = ["ssl://broker.example:8883"]  # tried in turn
tenant            = "acme"
username          = "anna"
password_file     = "broker.password"
ca_file           = "broker-ca.pem"                # none: the system's
cert_file         = ""                             # a client certificate and its key,
key_file          = ""                             # where the broker asks for one
operator          = "anna"                         # stands in commands, for people
operator_key_file = "operator.pem"                 # made by ostatokctl keygen
`

// settings are the configuration file. Names of files are relative to it.
type settings struct {
	URLs            []string `toml:"urls"`
	Tenant          string   `toml:"tenant"`
	Username        string   `toml:"username"`
	PasswordFile    string   `toml:"password_file"`
	CAFile          string   `toml:"ca_file"`
	CertFile        string   `toml:"cert_file"`
	KeyFile         string   `toml:"key_file"`
	Operator        string   `toml:"operator"`
	OperatorKeyFile string   `toml:"operator_key_file"`

	file string
}

// lookup finds a variable in environ, which is as os.Environ gives it.
func (a *app) lookup(name string) string {
	for _, line := range slices.Backward(a.environ) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

func defaultFile(folder string) string { return filepath.Join(folder, "ostatok", "ostatokctl.toml") }

// configFile is the file to read, and whether somebody named it.
func (a *app) configFile() (file string, named bool) {
	switch {
	case a.file != "":
		return a.file, true
	case a.lookup("OSTATOKCTL_CONFIG") != "":
		return a.lookup("OSTATOKCTL_CONFIG"), true
	case a.lookup("XDG_CONFIG_HOME") != "":
		return defaultFile(a.lookup("XDG_CONFIG_HOME")), false
	}
	return defaultFile(filepath.Join(a.lookup("HOME"), ".config")), false
}

// load reads the file and lays the environment over it.
func (a *app) load() (*settings, error) {
	file, named := a.configFile()
	s := &settings{file: file}
	text, err := os.ReadFile(file)
	if err != nil && (named || !errors.Is(err, fs.ErrNotExist)) {
		return nil, usage("cannot read the configuration: %v", err)
	}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		return nil, usage("%s: %s", file, tomlMistake(err))
	}
	for name, value := range map[string]*string{
		"TENANT": &s.Tenant, "USERNAME": &s.Username, "PASSWORD_FILE": &s.PasswordFile, "CA_FILE": &s.CAFile,
		"CERT_FILE": &s.CertFile, "KEY_FILE": &s.KeyFile, "OPERATOR": &s.Operator, "OPERATOR_KEY_FILE": &s.OperatorKeyFile,
	} {
		fromFile := *value != ""
		if over := a.lookup("OSTATOKCTL_" + name); over != "" {
			*value, fromFile = over, false
		}
		if fromFile && strings.HasSuffix(name, "_FILE") && !filepath.IsAbs(*value) {
			*value = filepath.Join(filepath.Dir(file), *value)
		}
	}
	if over := a.lookup("OSTATOKCTL_URLS"); over != "" {
		s.URLs = strings.Split(over, ",")
	}
	if s.Operator == "" {
		s.Operator = a.lookup("USER")
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// tomlMistake says where in the file a mistake is.
func tomlMistake(err error) string {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		line, _ := strict.Errors[0].Position()
		return fmt.Sprintf("line %d: there is no setting %s; see `ostatokctl --help`", line, strings.Join(strict.Errors[0].Key(), "."))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		return fmt.Sprintf("line %d: %s", line, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return err.Error()
}

// check says what is missing and what to write.
func (s *settings) check() error {
	if len(s.URLs) == 0 || s.Tenant == "" {
		return usage("urls and tenant must be set in %s, or as OSTATOKCTL_URLS and OSTATOKCTL_TENANT; see `ostatokctl --help` for an example", s.file)
	}
	if !level(s.Tenant) {
		return usage("tenant %q cannot be part of a topic: it must not hold /, + or #", s.Tenant)
	}
	for i, text := range s.URLs {
		text = strings.TrimSpace(text)
		s.URLs[i] = text
		u, err := url.Parse(text)
		if err != nil {
			// The parser's error repeats the text, which may hold a password.
			return usage("urls: entry %d is not an address: write ssl://host:8883 or tcp://host:1883", i+1)
		}
		if u.User != nil {
			return usage("urls: entry %d holds a user: write it as username and password_file", i+1)
		}
		if !slices.Contains([]string{"tcp", "mqtt", "ssl", "mqtts", "ws", "wss"}, u.Scheme) || u.Host == "" {
			return usage("urls: %q is not an address: write ssl://host:8883 or tcp://host:1883", text)
		}
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		return usage("cert_file and key_file belong together: set both or none")
	}
	return nil
}

// level tells whether text can be one level of a topic.
func level(text string) bool { return text != "" && !strings.ContainsAny(text, "/+#\x00") }
