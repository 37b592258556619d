package main

import (
	"bufio"
	"crypto/ed25519"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ostatok/platform/release"
)

func (a *app) signCommand() *cobra.Command {
	var key, certificate, until, dir string
	var m release.Manifest
	c := &cobra.Command{
		Use:   "sign PROGRAM --key FILE --certificate FILE --version V",
		Short: "Pack a program into a signed release",
		Long: `Packs a program and prints the name of the release's file, which is good for a
server and for a USB stick. The system that it is for is read from the program.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			private, err := readReleaseKey("--key", key)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(certificate)
			if err != nil {
				return usage("cannot read --certificate: %v", err)
			}
			if !release.ValidVersion(m.Version) {
				return usage("--version %q is not a version such as 1.4.0", m.Version)
			}
			if m.Expires, err = day(until); err != nil {
				return err
			}
			if m.OS, m.Arch, err = system(args[0]); err != nil {
				return err
			}
			m.Product, m.Issued, m.URL = product, a.now(), release.FilePath(product, m.Version, m.OS, m.Arch)
			name := filepath.Join(dir, release.FileName(product, m.Version, m.OS, m.Arch))
			if err := pack(name, args[0], private, string(text), m); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, name)
			return err
		},
	}
	c.Flags().StringVar(&key, "key", "", "the release key's file")
	c.Flags().StringVar(&certificate, "certificate", "", "the release key's certificate")
	c.Flags().StringVar(&m.Version, "version", "", "as the program was built with: boxes compare")
	c.Flags().StringVar(&m.Channel, "channel", "stable", "who takes it by itself")
	c.Flags().IntVar(&m.Schema, "schema-level", 0, "as `ostatok version` prints it: boxes compare")
	c.Flags().IntVar(&m.MinSchema, "min-schema-level", 0, "the lowest level of data that it can bring to its own")
	c.Flags().StringVar(&until, "until", "", "the last day on which it is installed, 2027-12-31; what is installed stays")
	c.Flags().StringVar(&dir, "dir", ".", "where the release's file is written")
	return c
}

// system is what a program was built for.
func system(program string) (goos, arch string, err error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", "", usage("%s is no program of ours: %v", program, err)
	}
	if info.Path != "ostatok/cmd/ostatok" {
		return "", "", usage("%s is %s: releases are of ostatok", program, info.Path)
	}
	arm := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			goos = s.Value
		case "GOARCH":
			arch = s.Value
		case "GOARM":
			arm, _, _ = strings.Cut(s.Value, ",")
		}
	}
	// One release for all boards: a box does not say which it is.
	if arch == "arm" && arm != "6" && arm != "5" {
		return "", "", usage("%s is built for ARMv%s, and older boards could not start it: build it with GOARM=6", program, arm)
	}
	return goos, arch, nil
}

// pack writes a release, which appears under its name when it is whole.
func pack(name, program string, key ed25519.PrivateKey, certificate string, m release.Manifest) (err error) {
	in, err := os.Open(program)
	if err != nil {
		return usage("cannot read the program: %v", err)
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return fmt.Errorf("cannot write the release: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	_, err = release.Pack(out, key, certificate, m, in)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), name)
}

func (a *app) publishCommand() *cobra.Command {
	var trust []string
	c := &cobra.Command{
		Use:   "publish FILE DIR --trust KEY",
		Short: "Put a release where a web server serves it, as the newest of its channel",
		Long: `Verifies a release as a box would and copies it into DIR, which any static web
server may serve: its address is update.url in the shops' configurations.`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			rules := release.Rules{Product: product, Time: a.now()}
			for _, text := range trust {
				key, err := release.ParseKey(text)
				if err != nil {
					return usage("--trust: %v", err)
				}
				rules.Roots = append(rules.Roots, key)
			}
			if len(rules.Roots) == 0 {
				return usage("--trust is missing: write the public root key, as the shops have it in update.release_keys")
			}
			var err error
			if rules.OS, rules.Arch, err = claimedSystem(args[0]); err != nil {
				return err
			}
			r, err := release.Publish(args[1], args[0], rules)
			if err != nil {
				return err
			}
			a.say("%s %s for %s/%s is the newest of %s in %s", r.Product, r.Version, r.OS, r.Arch, r.Channel, args[1])
			return nil
		},
	}
	c.Flags().StringSliceVar(&trust, "trust", nil, "the public root key, ed25519:…")
	return c
}

// claimedSystem is what a release says that it is for; Publish verifies it.
func claimedSystem(file string) (goos, arch string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", "", usage("cannot read the release: %v", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, release.MaxHead)
	for range 3 {
		lines.Scan()
	}
	var m release.Manifest
	if parts := strings.Split(lines.Text(), "."); len(parts) == 3 {
		if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(text, &m) == nil {
			return m.OS, m.Arch, nil
		}
	}
	return "", "", usage("%s is not a release; make one with `ostatokctl release sign`", file)
}
