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
	if c.Evotor.Token.Empty() {
		return nil
	}
	return []string{c.Evotor.Token.Reveal()}
}

// SecretFiles returns the files that hold secrets, by their key.
func (c *Config) SecretFiles() map[string]string {
	files := map[string]string{}
	add := func(key, file string) {
		if file != "" {
			files[key] = file
		}
	}
	if c.origin["evotor.token"].Layer == "" { // the file is read only when nothing above it gives a token
		add("evotor.token_file", c.Evotor.TokenFile)
	}
	add("mqtt.password_file", c.MQTT.PasswordFile)
	add("mqtt.key_file", c.MQTT.KeyFile)
	add("local.access_file", c.Local.AccessFile)
	for i, t := range c.Targets {
		add(element("target", i)+".key_file", t.KeyFile)
	}
	return maps.Clone(files)
}
