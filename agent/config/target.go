package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (r *reader) readTargets(raw any) {
	items, ok := raw.([]any)
	if !ok {
		r.mistake("target", "is one table", "write [[target]], with two brackets, above each")
		return
	}
	for i, item := range items {
		table, ok := item.(map[string]any)
		path := element("target", i)
		if !ok {
			r.mistake("target", "is not a list of tables", "write [[target]] above each")
			return
		}
		t := defaultTarget()
		r.take(path, table, t.common()) // its kind among them
		r.take(path, table, t.own())
		for _, name := range slices.Sorted(maps.Keys(table)) {
			r.foreign(path+"."+name, name, &t)
		}
		r.config.Targets = append(r.config.Targets, t)
	}
}

// take reads the known keys of a target and takes them out of its table.
func (r *reader) take(path string, table map[string]any, known []setting) {
	for _, s := range known {
		raw, ok := table[s.key]
		if !ok {
			continue
		}
		delete(table, s.key)
		key := path + "." + s.key
		r.origin(key, FromFile, "")
		if m := s.file(raw); m != nil {
			r.mistake(key, m.what, m.do)
		}
	}
}

// foreign complains of a key that the target does not have.
func (r *reader) foreign(key, name string, t *Target) {
	for _, kind := range []string{VirtPOS, Zelenka, KeyCRM} {
		of := Target{Kind: kind}
		if !slices.ContainsFunc(of.own(), func(s setting) bool { return s.key == name }) {
			continue
		}
		if t.Kind != "" { // without a kind, that is the mistake
			r.mistake(key, "is not a key of kind "+t.Kind, "take it out; only "+kind+" has it")
		}
		return
	}
	var names []string
	for _, s := range t.settings() {
		names = append(names, s.key)
	}
	do := "take it out"
	if near := nearest(name, names); near != "" {
		do = fmt.Sprintf("did you mean %s?", near)
	}
	r.mistake(key, "unknown key", do)
}

// checkTargets looks at what no single value of a target can tell.
func (r *reader) checkTargets(wrong map[string]bool) {
	names, places := make(map[string]bool), make(map[string]string)
	reserves := slices.ContainsFunc(r.config.Targets, func(t Target) bool { return t.Kind == KeyCRM && t.Reserves })
	for i := range r.config.Targets {
		t, path := &r.config.Targets[i], element("target", i)
		r.checkFilled(path, t, wrong)
		if t.Name == "evotor" || names[t.Name] && t.Name != "" {
			r.mistake(path+".name", fmt.Sprintf("%q is taken", t.Name), "write another name; plans are told apart by it")
		}
		names[t.Name] = true
		if t.URL != "" && t.Warehouse != "" {
			place := strings.Join([]string{t.Kind, strings.TrimRight(t.URL, "/"), t.Warehouse, strconv.FormatBool(t.WarehouseExternal)}, "\x00")
			if other, taken := places[place]; taken {
				r.mistake(path+".warehouse", "is written by target "+other+" already",
					"leave one of the two out; they would overwrite each other")
			}
			places[place] = strconv.Quote(t.Name)
		}
		r.checkClear(path+".url", t.URL)
		if t.Quantity == "available" && !reserves {
			r.warn(path+".quantity", "no target tells reserves, so all that is on the shelf is available",
				"add the keycrm target that takes the orders, or write \"physical\"")
		}
		if t.Kind == KeyCRM {
			r.checkKeyCRM(path, t)
		}
	}
}

// checkFilled looks whether what a target cannot do without is there.
func (r *reader) checkFilled(path string, t *Target, wrong map[string]bool) {
	must := []struct{ key, value, do string }{
		{"name", t.Name, "write a short name, unique in this file"},
		{"kind", t.Kind, "write virtpos, zelenka or keycrm"},
		{"url", t.URL, "write the address of the system"},
		{"key_file", t.KeyFile, "name the file that holds the key, with mode 0600"},
		{"warehouse", t.Warehouse, "write the id that the system has given to the shop's warehouse"},
	}
	if t.Kind == Zelenka {
		must = append(must, struct{ key, value, do string }{"username", t.Username, "write the user name of the account; Zelenka asks for it together with the key"})
	}
	for _, m := range must {
		if m.value == "" && !wrong[path+"."+m.key] {
			r.lines[path+"."+m.key] = max(r.lines[path+"."+m.key], r.lines[path])
			r.mistake(path+"."+m.key, "is not set", m.do)
		}
	}
	if t.Warehouse == "" || t.Kind != Zelenka && t.Kind != KeyCRM {
		return
	}
	if id, err := strconv.ParseInt(t.Warehouse, 10, 64); err != nil || id <= 0 {
		r.mistake(path+".warehouse", fmt.Sprintf("%q is not a number", t.Warehouse), "write the warehouse's number, such as \"2\"")
	}
}

func (r *reader) checkKeyCRM(path string, t *Target) {
	if t.Full != "" {
		r.mistake(path+".full", "KeyCRM has no full run", "take it out; its figures are compared all the time")
	}
	if t.Quantity == "available" {
		r.warn(path+".quantity", "KeyCRM's figures include what is reserved, and it takes that off by itself", `write "physical"`)
	}
	if t.Direction != Pull {
		return
	}
	_, said := r.config.origin[path+".write"]
	if said && t.Write != Off {
		r.mistake(path+".write", `nothing is written in direction "pull"`, `write "off", or direction = "push"`)
	}
	t.Write = Off
}
