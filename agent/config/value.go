package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// mistake says what is wrong with a value and what to write instead.
type mistake struct{ what, do string }

func (m *mistake) Error() string { return m.what + "; " + m.do }

// value is one kind of setting, bound to its place in a Config: it takes what a
// TOML file or an environment variable says, within its limits.
type value struct {
	file func(raw any) *mistake
	env  func(text string) *mistake
	show func() string
}

// parsed is a value written as a TOML string and parsed by read.
func parsed(form string, read func(string) *mistake, show func() string) value {
	return value{
		file: func(raw any) *mistake {
			s, ok := raw.(string)
			if !ok {
				return &mistake{fmt.Sprintf("%v is not text", raw), "write " + form + ", in quotes"}
			}
			return read(s)
		},
		env:  read,
		show: show,
	}
}

// text takes any text that check, if given, accepts.
func text(p *string, form string, check func(string) *mistake) value {
	return parsed(form, func(s string) *mistake {
		s = strings.TrimSpace(s)
		if check != nil && s != "" {
			if m := check(s); m != nil {
				return m
			}
		}
		*p = s
		return nil
	}, func() string { return *p })
}

// choice takes one of the given words.
func choice[T ~string](p *T, words ...T) value {
	plain := make([]string, len(words))
	for i, w := range words {
		plain[i] = string(w)
	}
	form := "one of " + strings.Join(plain, ", ")
	return parsed(form, func(s string) *mistake {
		if !slices.Contains(plain, s) {
			do := "write " + form
			if near := nearest(s, plain); near != "" {
				do += fmt.Sprintf(" (did you mean %q?)", near)
			}
			return &mistake{fmt.Sprintf("%q is not known", s), do}
		}
		*p = T(s)
		return nil
	}, func() string { return string(*p) })
}

// duration takes a duration within limits.
func duration(p *time.Duration, least, most time.Duration) value {
	form := fmt.Sprintf("a duration from %s to %s", formatDuration(least), formatDuration(most))
	return parsed(form, func(s string) *mistake {
		d, err := parseDuration(s)
		if err != nil {
			return &mistake{err.Error(), "write " + form}
		}
		if d < least || d > most {
			return &mistake{s + " is out of its limits", "write " + form}
		}
		*p = d
		return nil
	}, func() string { return formatDuration(*p) })
}

// size takes bytes within limits, written in MB or GB of 2²⁰ and 2³⁰.
func size(p *int64, least, most int64) value {
	form := fmt.Sprintf("a size from %s to %s", formatSize(least), formatSize(most))
	return parsed(form, func(s string) *mistake {
		number, unit := strings.TrimSpace(s), int64(0)
		for suffix, of := range map[string]int64{"MB": 1 << 20, "GB": 1 << 30} {
			if rest, ok := strings.CutSuffix(number, suffix); ok {
				number, unit = strings.TrimSpace(rest), of
				break
			}
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || unit == 0 {
			return &mistake{fmt.Sprintf("%q is not a size", s), `write ` + form + `, such as "512MB"`}
		}
		if n*unit < least || n*unit > most {
			return &mistake{s + " is out of its limits", "write " + form}
		}
		*p = n * unit
		return nil
	}, func() string { return formatSize(*p) })
}

func formatSize(bytes int64) string {
	if bytes%(1<<30) == 0 {
		return fmt.Sprintf("%dGB", bytes>>30)
	}
	return fmt.Sprintf("%dMB", bytes>>20)
}

// secret takes a text that is never shown.
func secret(p *Secret) value {
	return parsed("the secret", func(s string) *mistake {
		*p = NewSecret(strings.TrimSpace(s))
		return nil
	}, func() string { return p.String() })
}

// whole takes an integer within limits.
func whole(p *int, least, most int64) value {
	form := fmt.Sprintf("a whole number from %d to %d", least, most)
	check := func(n int64) *mistake {
		if n < least || n > most {
			return &mistake{fmt.Sprintf("%d is out of its limits", n), "write " + form}
		}
		*p = int(n)
		return nil
	}
	return value{
		file: func(raw any) *mistake {
			n, ok := raw.(int64)
			if !ok {
				return &mistake{fmt.Sprintf("%v is not a whole number", raw), "write " + form + ", without quotes"}
			}
			return check(n)
		},
		env: func(s string) *mistake {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return &mistake{fmt.Sprintf("%q is not a whole number", s), "write " + form}
			}
			return check(n)
		},
		show: func() string { return strconv.Itoa(*p) },
	}
}

// share takes a part of the whole, from least to most.
func share(p *float64, least, most float64) value {
	form := fmt.Sprintf("a share from %g to %g", least, most)
	check := func(x float64) *mistake {
		if !(x >= least && x <= most) { // NaN is out of limits too
			return &mistake{fmt.Sprintf("%g is out of its limits", x), "write " + form}
		}
		*p = x
		return nil
	}
	return value{
		file: func(raw any) *mistake {
			switch x := raw.(type) {
			case float64:
				return check(x)
			case int64:
				return check(float64(x))
			}
			return &mistake{fmt.Sprintf("%v is not a number", raw), "write " + form + ", without quotes"}
		},
		env: func(s string) *mistake {
			x, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return &mistake{fmt.Sprintf("%q is not a number", s), "write " + form}
			}
			return check(x)
		},
		show: func() string { return strconv.FormatFloat(*p, 'g', -1, 64) },
	}
}

// flag takes true or false.
func flag(p *bool) value {
	wrong := func(raw any) *mistake {
		return &mistake{fmt.Sprintf("%v is neither true nor false", raw), "write true or false, without quotes"}
	}
	return value{
		file: func(raw any) *mistake {
			b, ok := raw.(bool)
			if !ok {
				return wrong(raw)
			}
			*p = b
			return nil
		},
		env: func(s string) *mistake {
			b, err := strconv.ParseBool(s)
			if err != nil {
				return wrong(s)
			}
			*p = b
			return nil
		},
		show: func() string { return strconv.FormatBool(*p) },
	}
}

// list takes texts, each accepted by check; the environment separates them by
// commas, or writes them as the file does.
func list(p *[]string, check func(string) *mistake) value {
	take := func(items []string) *mistake {
		for _, item := range items {
			if m := check(item); m != nil {
				return m
			}
		}
		*p = items
		return nil
	}
	return value{
		file: func(raw any) *mistake {
			wrong := &mistake{fmt.Sprintf("%v is not a list of texts", raw), `write it as ["…", "…"]`}
			items, ok := raw.([]any)
			if !ok {
				return wrong
			}
			texts := make([]string, len(items))
			for i, item := range items {
				if texts[i], ok = item.(string); !ok {
					return wrong
				}
			}
			return take(texts)
		},
		env: func(s string) *mistake {
			if items, ok := inline[[]string](s, "[", "]"); ok {
				return take(items)
			}
			return take(split(s))
		},
		show: func() string { return strings.Join(*p, ",") },
	}
}

// pairs takes a table of names and values; the environment writes it as
// "A=x,B=y", or as the file does.
func pairs(p *map[string]string, check func(name, value string) *mistake) value {
	take := func(m map[string]string) *mistake {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if wrong := check(name, m[name]); wrong != nil {
				return wrong
			}
		}
		*p = m
		return nil
	}
	return value{
		file: func(raw any) *mistake {
			wrong := &mistake{fmt.Sprintf("%v is not a table of texts", raw), `write it as {NAME = "value"}`}
			table, ok := raw.(map[string]any)
			if !ok {
				return wrong
			}
			m := make(map[string]string, len(table))
			for name, v := range table {
				if m[name], ok = v.(string); !ok {
					return wrong
				}
			}
			return take(m)
		},
		env: func(s string) *mistake {
			if m, ok := inline[map[string]string](s, "{", "}"); ok {
				return take(m)
			}
			m := make(map[string]string)
			for _, item := range split(s) {
				name, v, ok := strings.Cut(item, "=")
				if !ok {
					return &mistake{fmt.Sprintf("%q is not NAME=value", item), "write NAME=value,NAME=value"}
				}
				m[strings.TrimSpace(name)] = strings.TrimSpace(v)
			}
			return take(m)
		},
		show: func() string {
			items := make([]string, 0, len(*p))
			for _, name := range slices.Sorted(maps.Keys(*p)) {
				items = append(items, name+"="+(*p)[name])
			}
			return strings.Join(items, ",")
		},
	}
}

// inline reads a value that is written in the environment as it is in the file,
// between these brackets.
func inline[T any](s, opens, closes string) (value T, ok bool) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, opens) || !strings.HasSuffix(s, closes) {
		return value, false
	}
	var v struct{ X T }
	err := toml.Unmarshal([]byte("X = "+s), &v)
	return v.X, err == nil
}

func split(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
