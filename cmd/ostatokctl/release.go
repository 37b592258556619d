package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ostatok/platform/release"
)

// product is what manifests of the agent's releases say.
const product = "ostatok"

func (a *app) releaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "release",
		Short: "Make releases of the agent, sign them and roll them out",
		Long: `A release is one file: the program behind a manifest, which a release key signs,
which an offline root key certifies. Boxes trust the root key alone; a release
key that was lost is ended by certifying another one with a higher serial.`,
		Example: `  ostatokctl release keygen root.key              # on a machine without a network
  ostatokctl release keygen release.key
  ostatokctl release certify --root root.key --key ed25519:… --serial 1 > release.cert
  ostatokctl release sign ostatok --key release.key --certificate release.cert --version 1.4.0
  ostatokctl release publish ostatok-1.4.0-linux-arm.release /srv/releases --trust ed25519:…
  ostatokctl release rollout 1.4.0 --stages 1,10%,100%`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.releaseKeygenCommand(), a.certifyCommand(), a.signCommand(), a.publishCommand(), a.rolloutCommand())
	return c
}

func (a *app) releaseKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a root key or a release key",
		Long: `Makes an Ed25519 key. The private half goes into FILE, mode 0600, never over an
existing file; the public half is printed. That of the root key belongs into
update.release_keys of each shop's configuration, and its file to a machine that
is not on a network.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			public, private, err := release.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			if err := writeNew(args[0], []byte(release.FormatPrivateKey(private)+"\n")); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, release.FormatKey(public))
			return err
		},
	}
}

func (a *app) certifyCommand() *cobra.Command {
	var root, key, until string
	var serial int64
	c := &cobra.Command{
		Use:   "certify --root FILE --key KEY --serial N",
		Short: "Let a root key stand for a release key; prints the certificate",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			private, err := readReleaseKey("--root", root)
			if err != nil {
				return err
			}
			if _, err := release.ParseKey(key); err != nil {
				return usage("--key: %v; write the line that keygen printed", err)
			}
			if serial < 1 {
				return usage("--serial must be 1 or more: boxes refuse keys with a lower one than they have seen")
			}
			expires, err := day(until)
			if err != nil {
				return err
			}
			text, err := release.Certify(private, release.Certificate{Key: key, Serial: serial, Expires: expires})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, text)
			return err
		},
	}
	c.Flags().StringVar(&root, "root", "", "the root key's file")
	c.Flags().StringVar(&key, "key", "", "the public release key, ed25519:…")
	c.Flags().Int64Var(&serial, "serial", 0, "higher than that of the release key before")
	c.Flags().StringVar(&until, "until", "", "the last day on which its releases are installed, 2028-12-31; what is installed stays")
	return c
}

// readReleaseKey reads a private key that release keygen wrote.
func readReleaseKey(flag, file string) (ed25519.PrivateKey, error) {
	if file == "" {
		return nil, usage("%s is missing: name the key's file", flag)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, usage("cannot read the key: %v", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, usage("%s can be read by others: chmod 600 it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("cannot read the key: %v", err)
	}
	key, err := release.ParsePrivateKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, usage("%s: %v", file, err)
	}
	return key, nil
}

// day is the end of a day, zero for "".
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, usage("%q is not a day: write it as 2028-12-31", text)
	}
	return t.AddDate(0, 0, 1), nil
}
