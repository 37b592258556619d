package command_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"ostatok/agent/command"
)

const store = "20170222-D58C-40E0-8051-B53ADFF38860"

var (
	manager  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	observer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	former   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, ed25519.SeedSize))
	noon     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func key(k ed25519.PrivateKey, r command.Right) command.Key {
	return command.Key{ID: command.KeyID(public(k)), Public: public(k), Right: r}
}

func keys() []command.Key {
	return []command.Key{key(manager, command.Manage), key(observer, command.Observe),
		key(former, command.Manage), key(former, command.Revoked)}
}

func claims() command.Claims {
	return command.Claims{ID: "c-1", Issuer: "anna", Audience: []string{store}, Cmd: command.Sync,
		Args: json.RawMessage(`{"backfill":true}`), IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
}

func sign(t testing.TB, k ed25519.PrivateKey, c command.Claims) string {
	t.Helper()
	token, err := command.Sign(k, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge makes a token of any header and payload, signed by whatever method.
func forge(t testing.TB, method jwt.SigningMethod, k any, header map[string]any, payload any) string {
	t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	var m jwt.MapClaims
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	token := jwt.NewWithClaims(method, m)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(k)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sure(at time.Time) command.Clock { return command.Clock{Now: at, Trusted: true} }

func TestVerify(t *testing.T) {
	kid := map[string]any{"kid": command.KeyID(public(manager))}
	payload := map[string]any{"jti": "c-1", "aud": store, "cmd": "sync", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix()}
	with := func(change string, value any) map[string]any {
		m := maps.Clone(payload)
		m[change] = value
		return m
	}
	changed := func(f func(*command.Claims)) string {
		c := claims()
		f(&c)
		return sign(t, manager, c)
	}
	good := sign(t, manager, claims())
	parts := strings.Split(good, ".")
	for name, tc := range map[string]struct {
		token string
		clock command.Clock
		code  command.Code // "" for accepted
	}{
		"good":                {good, sure(noon), ""},
		"any library's":       {forge(t, jwt.SigningMethodEdDSA, manager, kid, payload), sure(noon), ""},
		"to all":              {changed(func(c *command.Claims) { c.Audience = []string{"all"} }), sure(noon), ""},
		"last second":         {good, sure(noon.Add(time.Hour - time.Second)), ""},
		"sender a bit ahead":  {good, sure(noon.Add(-command.Skew)), ""},
		"observer may ping":   {sign(t, observer, func() command.Claims { c := claims(); c.Cmd = command.Ping; return c }()), sure(noon), ""},
		"box in the past":     {good, command.Clock{Now: time.Unix(0, 0), Best: noon.Add(-30 * 24 * time.Hour)}, ""},
		"box in the future":   {good, command.Clock{Now: noon.AddDate(20, 0, 0), Best: noon}, ""},
		"forged":              {parts[0] + "." + parts[1] + "." + strings.Split(sign(t, stranger, claims()), ".")[2], sure(noon), command.CodeSignature},
		"payload changed":     {parts[0] + "." + b64(`{"jti":"c-1","aud":"all","cmd":"restart","iat":1795262400,"exp":1795266000}`) + "." + parts[2], sure(noon), command.CodeSignature},
		"no signature":        {parts[0] + "." + parts[1] + ".", sure(noon), command.CodeSignature},
		"alg none":            {forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, payload), sure(noon), command.CodeAlgorithm},
		"alg nOnE":            {b64(`{"alg":"nOnE","kid":"`+kid["kid"].(string)+`"}`) + "." + parts[1] + ".", sure(noon), command.CodeAlgorithm},
		"no alg":              {b64(`{"kid":"`+kid["kid"].(string)+`"}`) + "." + parts[1] + "." + parts[2], sure(noon), command.CodeAlgorithm},
		"hmac by public key":  {forge(t, jwt.SigningMethodHS256, []byte(public(manager)), kid, payload), sure(noon), command.CodeAlgorithm},
		"hmac by base64":      {forge(t, jwt.SigningMethodHS512, []byte(key(manager, command.Manage).String()), kid, payload), sure(noon), command.CodeAlgorithm},
		"stranger":            {sign(t, stranger, claims()), sure(noon), command.CodeUnknownKey},
		"no kid":              {forge(t, jwt.SigningMethodEdDSA, manager, nil, payload), sure(noon), command.CodeUnknownKey},
		"kid of another kind": {forge(t, jwt.SigningMethodEdDSA, manager, map[string]any{"kid": 7}, payload), sure(noon), command.CodeUnknownKey},
		"revoked":             {sign(t, former, claims()), sure(noon), command.CodeRevokedKey},
		"crit":                {forge(t, jwt.SigningMethodEdDSA, manager, map[string]any{"kid": kid["kid"], "crit": []string{"x"}}, payload), sure(noon), command.CodeMalformed},
		"not a token":         {"sync", sure(noon), command.CodeMalformed},
		"empty":               {"", sure(noon), command.CodeMalformed},
		"four parts":          {good + ".x", sure(noon), command.CodeMalformed},
		"too large":           {strings.Repeat("a", command.MaxSize+1), sure(noon), command.CodeTooLarge},
		"another shop":        {changed(func(c *command.Claims) { c.Audience = []string{"20180101-0000-4000-8000-000000000000"} }), sure(noon), command.CodeAudience},
		"no audience":         {changed(func(c *command.Claims) { c.Audience = nil }), sure(noon), command.CodeAudience},
		"expired":             {good, sure(noon.Add(time.Hour)), command.CodeExpired},
		"expired by the best": {good, command.Clock{Now: time.Unix(0, 0), Best: noon.Add(2 * time.Hour)}, command.CodeExpired},
		"not yet valid": {changed(func(c *command.Claims) { c.NotBefore = noon.Add(30 * time.Minute) }), sure(noon),
			command.CodeNotYetValid},
		"nbf and a clock that is not trusted": {changed(func(c *command.Claims) { c.NotBefore = noon.Add(30 * time.Minute) }),
			command.Clock{Now: time.Unix(0, 0), Best: noon.AddDate(0, -1, 0)}, command.CodeNotYetValid},
		"from the future": {good, sure(noon.Add(-command.Skew - time.Second)), command.CodeNotYetValid},
		"lives too long":  {changed(func(c *command.Claims) { c.ExpiresAt = noon.Add(25 * time.Hour) }), sure(noon), command.CodeLifetime},
		"lives backwards": {changed(func(c *command.Claims) { c.ExpiresAt = noon.Add(-time.Hour) }), sure(noon), command.CodeLifetime},
		"no jti":          {changed(func(c *command.Claims) { c.ID = "" }), sure(noon), command.CodeClaims},
		"long jti":        {changed(func(c *command.Claims) { c.ID = strings.Repeat("x", 65) }), sure(noon), command.CodeClaims},
		"jti of lines":    {changed(func(c *command.Claims) { c.ID = "a\nb" }), sure(noon), command.CodeClaims},
		"no exp":          {forge(t, jwt.SigningMethodEdDSA, manager, kid, with("exp", nil)), sure(noon), command.CodeClaims},
		"exp of no year":  {forge(t, jwt.SigningMethodEdDSA, manager, kid, with("exp", 1e17)), sure(noon), command.CodeClaims},
		"no iat":          {forge(t, jwt.SigningMethodEdDSA, manager, kid, with("iat", nil)), sure(noon), command.CodeClaims},
		"exp as text":     {forge(t, jwt.SigningMethodEdDSA, manager, kid, with("exp", "soon")), sure(noon), command.CodeMalformed},
		"unknown command": {changed(func(c *command.Claims) { c.Cmd = "format" }), sure(noon), command.CodeUnknown},
		"observer syncs":  {sign(t, observer, claims()), sure(noon), command.CodeRight},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := command.Verify([]byte(tc.token), store, keys(), tc.clock)
			var r *command.Refusal
			if err != nil && !errors.As(err, &r) {
				t.Fatalf("error %v is no refusal", err)
			}
			var code command.Code
			if r != nil {
				code = r.Code
			}
			if code != tc.code {
				t.Fatalf("refused as %q (%v), want %q", code, err, tc.code)
			}
			if proved := c.Key != ""; proved != (code == "" || proves(code)) {
				t.Errorf("claims %+v with code %q", c, code)
			}
		})
	}
}

// proves tells whether a code is found only after the signature.
func proves(c command.Code) bool {
	switch c {
	case command.CodeClaims, command.CodeAudience, command.CodeLifetime, command.CodeExpired,
		command.CodeNotYetValid, command.CodeUnknown, command.CodeRight:
		return true
	}
	return false
}

func TestSignedIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := command.Claims{
			ID: rapid.StringMatching(`[!-~]{1,64}`).Draw(t, "id"), Issuer: rapid.StringN(0, 32, 128).Draw(t, "issuer"),
			Audience: []string{store}, Cmd: command.SetConfig,
			IssuedAt: noon, ExpiresAt: noon.Add(time.Duration(rapid.IntRange(1, 86400).Draw(t, "life")) * time.Second),
			Key: command.KeyID(public(manager)), Right: command.Manage,
		}
		args, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "args"))
		if err != nil {
			t.Fatal(err)
		}
		want.Args = args
		token, err := command.Sign(manager, want)
		if err != nil {
			t.Skip(err)
		}
		got, err := command.Verify([]byte(token), store, keys(), sure(noon))
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != want.ID || got.Issuer != want.Issuer || !bytes.Equal(got.Args, want.Args) ||
			!got.ExpiresAt.Equal(want.ExpiresAt) || got.Key != want.Key || got.Right != want.Right {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// No byte of a command can be changed.
func TestEveryByteIsSigned(t *testing.T) {
	good := []byte(sign(t, manager, claims()))
	for i := range good {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if c, err := command.Verify(bad, store, keys(), sure(noon)); err == nil {
				t.Fatalf("byte %d changed by %#x and still taken: %+v", i, flip, c)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(sign(f, manager, claims())))
	f.Add([]byte(sign(f, stranger, claims())))
	f.Add([]byte(b64("null") + "." + b64("null") + "."))
	f.Add([]byte("..."))
	f.Fuzz(func(t *testing.T, token []byte) {
		c, err := command.Verify(token, store, keys(), sure(noon))
		var r *command.Refusal
		switch {
		case err == nil && c.ID != "c-1":
			t.Errorf("%q was taken", token)
		case err != nil && (!errors.As(err, &r) || r.Code == "" || r.Message == ""):
			t.Errorf("%q: %v is no refusal", token, err)
		}
	})
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestParseKey(t *testing.T) {
	k := key(manager, command.Manage)
	for _, text := range []string{k.String(), strings.Replace(k.String(), "=manage", "==manage", 1)} {
		got, err := command.ParseKey(text)
		if err != nil || got.ID != k.ID || !got.Public.Equal(k.Public) || got.Right != k.Right {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ed25519:", "ed25519:AAAA=manage", strings.TrimSuffix(k.String(), "=manage"),
		strings.Replace(k.String(), "manage", "root", 1), strings.TrimPrefix(k.String(), "ed25519:")} {
		if got, err := command.ParseKey(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
