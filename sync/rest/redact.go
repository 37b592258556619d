package rest

import (
	"net/url"
	"regexp"
	"strings"
)

// Secrets that are known are removed wherever they stand; those of others are
// recognised by the names they go by, because a server may echo a request.
var (
	named  = regexp.MustCompile(`(?i)((?:api[_-]?key|[a-z_-]*token|\bkey|password|secret|authorization)["']?\s*[=:]\s*["']?(?:bearer\s+|basic\s+)?)[^\s"'&,;}<]+`)
	bearer = regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{6,}`)
	inURL  = regexp.MustCompile(`://[^/@\s]+@`)
)

type redactor struct{ known *strings.Replacer }

func newRedactor(secrets []string) redactor {
	var pairs []string
	for _, s := range secrets {
		if len(s) < 4 {
			continue // would black out half of every text
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			pairs = append(pairs, form, "***")
		}
	}
	return redactor{strings.NewReplacer(pairs...)}
}

func (r redactor) clean(s string) string {
	s = r.known.Replace(s)
	s = named.ReplaceAllString(s, "${1}***")
	s = bearer.ReplaceAllString(s, "${1}***")
	return inURL.ReplaceAllString(s, "://***@")
}
