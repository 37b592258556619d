package main

import (
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"

	"ostatok/agent"
)

func (a *app) accessCommand() *cobra.Command {
	senders := false
	c := &cobra.Command{
		Use:   "access",
		Short: "Make or renew the access code of the shop's page",
		Long: "Makes an access code for the shop's page and prints it: it is kept nowhere, only its hash is, in local.access_file.\n" +
			"A code that was there is void, at once, and whoever came in with it is asked again.\n" +
			"With --senders it makes the token with which terminals and relays send documents.",
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			file := c.Local.AccessFile
			if file == "" {
				return usage(`local.access_file is not set: add access_file = "/etc/ostatok/access" to [local] in %s, and restart the agent`, c.File)
			}
			renew, what := agent.RenewCode, "code"
			if senders {
				renew, what = agent.RenewToken, "token for senders of documents"
			}
			secret, err := renew(file, rand.Reader)
			if err != nil {
				return err
			}
			a.say("The new %s; write it down, it is shown once:", what)
			_, err = fmt.Fprintln(a.out, secret)
			return err
		},
	}
	c.Flags().BoolVar(&senders, "senders", false, "the token of those who send documents, instead of the code for people")
	return c
}
