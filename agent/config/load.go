package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads the file, the environment ("NAME=value", as os.Environ gives it)
// and the secrets they name. It returns *InvalidError with every mistake; things
// worth a warning are in Config.Warnings.
func Load(file string, environ []string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &InvalidError{[]Problem{{File: file, Message: "cannot be read: " + reason(err),
			Do: "make one with `ostatok config init > " + file + "`, or name another with --config"}}}
	}
	c, problems := parse(file, text, environ)
	c.handedOver(environ)
	problems = append(problems, c.secrets()...)
	return c.divide(problems)
}

// Parse is Load without the files that hold secrets.
func Parse(file string, text []byte, environ []string) (*Config, error) {
	c, problems := parse(file, text, environ)
	return c.divide(problems)
}

// divide keeps the warnings and returns the mistakes as an error.
func (c *Config) divide(problems []Problem) (*Config, error) {
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	var mistakes []Problem
	for _, p := range problems {
		if p.Warning {
			c.Warnings = append(c.Warnings, p)
		} else {
			mistakes = append(mistakes, p)
		}
	}
	if len(mistakes) > 0 {
		return nil, &InvalidError{mistakes}
	}
	return c, nil
}

func parse(file string, text []byte, environ []string) (*Config, []Problem) {
	c := Default()
	c.File = file
	r := reader{file: file, config: c, lines: lines(text)}
	c.origin = make(map[string]Setting)

	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		p := Problem{File: file, Message: err.Error(), Do: "mend this line; the rest was not looked at"}
		if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
			p.Line, _ = bad.Position()
			p.Message = "not TOML: " + strings.TrimPrefix(bad.Error(), "toml: ")
		}
		return c, []Problem{p}
	}
	r.readFile(tree)
	r.readEnvironment(environ)
	r.crossCheck()
	return c, r.problems
}

// reader applies the layers to a Config one above the other.
type reader struct {
	file     string
	config   *Config
	lines    map[string]int
	problems []Problem
}

func (r *reader) mistake(key, what, do string) {
	p := Problem{File: r.file, Line: r.lines[key], Key: key, Message: what, Do: do}
	if s, ok := r.config.origin[key]; ok && s.Layer == Environment {
		p.File, p.Line = s.Variable, 0
	}
	r.problems = append(r.problems, p)
}

func (r *reader) warn(key, what, do string) {
	r.mistake(key, what, do)
	r.problems[len(r.problems)-1].Warning = true
}

func (r *reader) readFile(tree map[string]any) {
	known := r.config.settings()
	keys := make([]string, len(known), len(known)+16)
	byKey := make(map[string]setting, len(known))
	sections := map[string]bool{"target": true}
	for i, s := range known {
		keys[i] = s.key
		byKey[s.key] = s
		sections[section(s.key)] = true
	}
	for _, kind := range []string{VirtPOS, Zelenka, KeyCRM} {
		for _, s := range (&Target{Kind: kind}).settings() {
			keys = append(keys, "target."+s.key)
		}
	}
	var walk func(prefix string, table map[string]any)
	walk = func(prefix string, table map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			key := prefix + name
			s, ok := byKey[key]
			sub, isTable := table[name].(map[string]any)
			switch {
			case ok:
				r.origin(key, FromFile, "")
				if m := s.file(table[name]); m != nil {
					r.mistake(key, m.what, m.do)
				}
			case key == "target":
				r.readTargets(table[name])
			case isTable && sections[key]:
				walk(key+".", sub)
			case sections[key]:
				r.mistake(key, "is a section, not a value", "write ["+key+"] on a line of its own")
			case isTable && prefix == "":
				r.unknown(key, slices.Sorted(maps.Keys(sections)))
			default:
				r.unknown(key, keys)
			}
		}
	}
	walk("", tree)
}

func (r *reader) unknown(key string, known []string) {
	do := "take it out"
	if near := nearest(key, known); near != "" {
		do = fmt.Sprintf("did you mean %s?", near)
	}
	r.mistake(key, "unknown key", do)
}

// prefix begins the name of every environment variable that is ours.
const prefix = "OSTATOK_"

// variable is the environment variable of a key: OSTATOK_EVOTOR_TOKEN_FILE.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// launcher are the variables by which the launcher talks to the agent: they are
// no settings.
func launcher() []string { return []string{prefix + "PROGRAM", prefix + "GUARD"} }

func (r *reader) readEnvironment(environ []string) {
	known := r.config.settings()
	names := make([]string, len(known))
	for i, s := range known {
		names[i] = variable(s.key)
	}
	for _, line := range environ {
		name, text, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(launcher(), name) {
			continue
		}
		i := slices.Index(names, name)
		if i < 0 {
			do := "take it out"
			if near := nearest(name, names); near != "" {
				do = fmt.Sprintf("did you mean %s?", near)
			}
			r.problems = append(r.problems, Problem{File: name, Message: "unknown variable", Do: do})
			continue
		}
		r.origin(known[i].key, Environment, name)
		if m := known[i].env(text); m != nil {
			r.mistake(known[i].key, m.what, m.do)
		}
	}
}

// crossCheck looks at what no single value can tell.
func (r *reader) crossCheck() {
	c := r.config
	wrong := make(map[string]bool) // a value already refused is not complained of twice
	for _, p := range r.problems {
		wrong[p.Key] = true
	}
	if c.Store == "" && !wrong["store"] {
		r.mistake("store", "is not set", "write the id of the shop, as the Evotor cloud shows it")
	}
	if c.DataDir == "" && !wrong["data_dir"] {
		r.mistake("data_dir", "is empty", "write the directory of the agent's files, or take the line out")
	}
	if c.Evotor.URL == "" && !wrong["evotor.url"] {
		r.mistake("evotor.url", "is empty", "write https://api.evotor.ru, or take the line out")
	}
	if !c.Evotor.Token.Empty() && r.lines["evotor.token"] > 0 && c.origin["evotor.token"].Layer == FromFile {
		r.warn("evotor.token", "the token is in the configuration file", "move it to a file with mode 0600 and name that in token_file")
	}
	r.checkClear("evotor.url", c.Evotor.URL)
	if months := int64(c.Mirror.Keep / Month); months < int64(c.Evotor.Horizon) {
		r.mistake("mirror.keep", fmt.Sprintf("%s is shorter than the horizon of %d months", formatDuration(c.Mirror.Keep), c.Evotor.Horizon),
			fmt.Sprintf("write at least %dd", c.Evotor.Horizon*31))
	}
	if c.Local.Listen != "" && !loopback(c.Local.Listen) && c.Local.AccessFile == "" {
		r.mistake("local.listen", c.Local.Listen+" can be reached by other machines", "name an access_file, or listen on 127.0.0.1")
	}
	if len(c.MQTT.URLs) > 0 && c.MQTT.Tenant == "" && !wrong["mqtt.tenant"] {
		r.mistake("mqtt.tenant", "is not set", "write the tenant's name that the operator gave you")
	}
	if (c.MQTT.CertFile == "") != (c.MQTT.KeyFile == "") {
		r.mistake("mqtt.cert_file", "a certificate needs its key", "set both cert_file and key_file, or none")
	}
	if c.Update.URL != "" && len(c.Update.ReleaseKeys) == 0 && !wrong["update.release_keys"] {
		r.mistake("update.release_keys", "is not set, so no release could be believed", "write the key that the operator gave you")
	}
	if c.Update.Channel != "" && c.Update.URL == "" && !wrong["update.url"] {
		r.mistake("update.url", "is not set, so there is no channel", "write the address of the server with releases")
	}
	r.checkTargets(wrong)
}

// checkClear warns of a secret that would travel in clear.
func (r *reader) checkClear(key, address string) {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "http" && !loopback(u.Host) {
		r.warn(key, "http sends the token in clear", "write https")
	}
}
