package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ostatok/agent/stock"
	"ostatok/platform/network"
	"ostatok/platform/zone"
)

// storeForm is YYYYMMDD-XXXX-40XX-80XX-XXXXXXXXXXXX, upper case
// (evotor-cloud §6); the first eight characters are the shop's first day.
var storeForm = regexp.MustCompile(`^[0-9]{8}-[0-9A-F]{4}-40[0-9A-F]{2}-80[0-9A-F]{2}-[0-9A-F]{12}$`)

func storeID(s string) *mistake {
	if storeForm.MatchString(s) {
		if _, err := time.Parse("20060102", s[:8]); err == nil {
			return nil
		}
	}
	do := "copy the shop's id from the Evotor cloud; it looks like 20170222-D58C-40E0-8051-B53ADFF38860"
	if storeForm.MatchString(strings.ToUpper(s)) {
		do = "write it in upper case: " + strings.ToUpper(s)
	}
	return &mistake{fmt.Sprintf("%q is not the id of an Evotor shop", s), do}
}

func absolute(s string) *mistake {
	if !filepath.IsAbs(s) {
		return &mistake{fmt.Sprintf("%q is a relative path", s), "write the whole path, from the root"}
	}
	return nil
}

func webURL(s string) *mistake {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return &mistake{fmt.Sprintf("%q is not a web address", s), "write it as https://HOST"}
	case u.User != nil:
		return &mistake{"the address holds a name or a password", "take it out; secrets have files of their own"}
	}
	return nil
}

func brokerURL(s string) *mistake {
	u, err := url.Parse(s)
	if err == nil && u.Host != "" && u.User == nil {
		switch u.Scheme {
		case "ssl", "tls", "mqtts", "tcp", "mqtt", "ws", "wss":
			return nil
		}
	}
	return &mistake{fmt.Sprintf("%q is not the address of a broker", s), "write it as ssl://HOST:8883"}
}

func topicLevel(s string) *mistake {
	if strings.ContainsAny(s, "/+# \t\"") {
		return &mistake{fmt.Sprintf("%q cannot be part of a topic", s), "leave out /, +, #, quotes and blanks"}
	}
	return nil
}

func operator(s string) *mistake {
	key, ok := strings.CutPrefix(s, "ed25519:")
	cut := strings.LastIndexByte(key, '=')
	if ok && cut > 0 {
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(key[:cut], "="))
		right := key[cut+1:]
		if err == nil && len(raw) == 32 && (right == "manage" || right == "observe" || right == "revoked") {
			return nil
		}
	}
	return &mistake{fmt.Sprintf("%q is not an operator's key and right", s),
		"write it as ed25519:KEY=manage, =observe or =revoked, KEY being 32 bytes in base64"}
}

// releaseKey is a key as `ostatokctl release keygen` prints it.
func releaseKey(s string) *mistake {
	key, ok := strings.CutPrefix(s, "ed25519:")
	if raw, err := base64.StdEncoding.DecodeString(key); ok && err == nil && len(raw) == 32 {
		return nil
	}
	return &mistake{fmt.Sprintf("%q is not a key that certifies releases", s), "write it as ed25519:KEY, KEY being 32 bytes in base64"}
}

func timezone(s string) *mistake {
	if _, err := zone.Load(s); err != nil {
		return &mistake{err.Error(), `write it as "Europe/Moscow", or as the distance from UTC, "+03:00"`}
	}
	return nil
}

func nameServer(s string) *mistake {
	if _, err := network.ParseServer(s); err != nil {
		return &mistake{err.Error(), "write its IP address, such as 77.88.8.8"}
	}
	return nil
}

func hours(s string) *mistake {
	if _, _, ok := (&Update{Window: s}).Hours(); !ok {
		return &mistake{fmt.Sprintf("%q is not a span of hours", s), `write it as "02:00-05:00"`}
	}
	return nil
}

func reading(name, value string) *mistake {
	switch t := stock.Type(name); {
	case !t.Moves() || t == stock.Write:
		do := "write a type such as ACCEPT, RETURN or WRITE_OFF"
		if near := nearest(name, []string{"SELL", "PAYBACK", "ACCEPT", "RETURN", "WRITE_OFF", "BUY", "BUYBACK", "OPEN_TARE"}); near != "" {
			do = fmt.Sprintf("did you mean %s?", near)
		}
		return &mistake{fmt.Sprintf("%q is not a type of document that moves stock", name), do}
	case value != string(stock.Before) && value != string(stock.After):
		return &mistake{fmt.Sprintf("%s = %q is not a reading", name, value), `write "before" or "after"`}
	}
	return nil
}

func listenAddress(s string) *mistake {
	if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
		return &mistake{fmt.Sprintf("%q is not an address with a port", s), "write it as 127.0.0.1:8480"}
	}
	return nil
}

func timeOfDay(s string) *mistake {
	if _, err := time.Parse("15:04", s); err != nil {
		return &mistake{fmt.Sprintf("%q is not a time of day", s), `write it as "03:30"`}
	}
	return nil
}

// loopback tells whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}
