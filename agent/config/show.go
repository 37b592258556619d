package config

import "maps"

// Layer is where a value comes from.
type Layer string

// The layers, lowest first.
const (
	FromDefault Layer = "default"
	FromFile    Layer = "file"
	Environment Layer = "environment"
)

// Setting is one effective value; secrets show as stars.
type Setting struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Layer    Layer  `json:"layer"`
	Line     int    `json:"line,omitempty"`     // in the file
	Variable string `json:"variable,omitempty"` // in the environment
	Until    string `json:"until,omitempty"`    // of an operator's, RFC 3339
	By       string `json:"by,omitempty"`
}

// Settings returns every effective value with its layer, in the file's order.
func (c *Config) Settings() []Setting {
	var all []Setting
	add := func(key string, v value) {
		s := Setting{Layer: FromDefault}
		if o, ok := c.origin[key]; ok {
			s = o
		}
		s.Key, s.Value = key, v.show()
		all = append(all, s)
	}
	for _, s := range c.settings() {
		if s.key == "mqtt.urls" { // targets are written between [mirror] and [mqtt]
			for i := range c.Targets {
				for _, t := range c.Targets[i].settings() {
					add(element("target", i)+"."+t.key, t.value)
				}
			}
		}
		add(s.key, s.value)
	}
	return all
}

// origin notes the highest layer that names a key.
func (r *reader) origin(key string, layer Layer, variable string) {
	s := Setting{Key: key, Layer: layer, Variable: variable}
	if layer == FromFile {
		s.Line = r.lines[key]
	}
	r.config.origin[key] = s
}

// Secrets returns the texts that must not appear in anything handed out, so that
// a support bundle can be searched for them.
func (c *Config) Secrets() []string {
	secrets := []Secret{c.Evotor.Token}
	for i := range c.Targets {
		secrets = append(secrets, c.Targets[i].Key, c.Targets[i].HookSecret)
	}
	var texts []string
	for _, s := range secrets {
		if !s.Empty() {
			texts = append(texts, s.Reveal())
		}
	}
	return texts
}

// SecretFiles returns the files of secrets that Load has not looked at, by their
// key.
func (c *Config) SecretFiles() map[string]string {
	files := map[string]string{
		"mqtt.password_file": c.MQTT.PasswordFile, "mqtt.key_file": c.MQTT.KeyFile, "local.access_file": c.Local.AccessFile,
	}
	maps.DeleteFunc(files, func(_, file string) bool { return file == "" })
	return files
}
