package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"ostatok/agent/command"
)

func (a *app) keygenCommand() *cobra.Command {
	right := string(command.Manage)
	c := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make an operator's key",
		Long: `Makes an Ed25519 key. The private half goes into FILE (PKCS #8 in PEM, mode 0600,
never over an existing file): name it as operator_key_file. The public half is
printed as it belongs into mqtt.operators of each shop's configuration.`,
		Example: `  ostatokctl keygen ~/.config/ostatok/operator.pem
  ostatokctl keygen --right observe watcher.pem`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if right != string(command.Manage) && right != string(command.Observe) {
				return usage("--right %s is not known: write manage or observe", right)
			}
			return a.keygen(args[0], command.Right(right))
		},
	}
	c.Flags().StringVar(&right, "right", right, "what the key allows: manage, or observe to read only")
	return c
}

func (a *app) keygen(file string, right command.Right) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	if err := writeNew(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return err
	}
	key := command.Key{ID: command.KeyID(public), Public: public, Right: right}
	fmt.Fprintln(a.out, key)
	a.say("key %s is in %s; put the line above into mqtt.operators of each shop", key.ID, file)
	return nil
}

// writeNew writes a secret into a file that must not exist: whoever overwrites
// an operator's key is locked out of the whole fleet.
func writeNew(file string, text []byte) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s exists, and a key is never written over: name another file", file)
	}
	if err != nil {
		return fmt.Errorf("cannot write the key: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot write the key: %w", err)
	}
	return nil
}

// signer reads the operator's private key.
func (s *settings) signer() (ed25519.PrivateKey, error) {
	if s.OperatorKeyFile == "" {
		return nil, usage("commands are signed: make a key with `ostatokctl keygen` and set operator_key_file in %s", s.file)
	}
	info, err := os.Stat(s.OperatorKeyFile)
	if err != nil {
		return nil, usage("cannot read the operator's key: %v", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, usage("%s can be read by others: chmod 600 it", s.OperatorKeyFile)
	}
	text, err := os.ReadFile(s.OperatorKeyFile)
	if err != nil {
		return nil, usage("cannot read the operator's key: %v", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, usage("%s holds no key in PEM", s.OperatorKeyFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, usage("%s holds no Ed25519 key", s.OperatorKeyFile)
	}
	return private, nil
}
