package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ostatok/agent/local"
	"ostatok/sync/match"
)

func (a *app) mappingCommand() *cobra.Command {
	var target string
	c := &cobra.Command{
		Use:   "mapping",
		Short: "Look after which product is which at a target",
		Long: "A product is found at a target by the property that `match` names in the configuration: its id, code, article or\n" +
			"barcode. A mapping goes before it: a file with the columns product_id, code, article, barcode, name and key. The\n" +
			"first of product_id, code, article and barcode that is filled says which product is meant, key is its id at the\n" +
			"target; lines without a key are passed over.",
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usage("mapping needs import, export or check; see `ostatok mapping --help`")
		},
	}
	c.PersistentFlags().StringVar(&target, "target", "", "the name of the target in the configuration")
	c.AddCommand(a.mappingImportCommand(&target), a.mappingExportCommand(&target), a.mappingCheckCommand(&target))
	return c
}

// withTarget is withShop for a command that needs --target.
func (a *app) withTarget(ctx context.Context, target string, work func(context.Context, local.Shop) error) error {
	if target == "" {
		return usage("say which target with --target NAME; `ostatok config show` lists them")
	}
	return a.withShop(ctx, work)
}

func (a *app) mappingImportCommand(target *string) *cobra.Command {
	var o local.MappingOptions
	c := &cobra.Command{
		Use: "import FILE", Short: "Take a mapping in, the whole file or nothing of it",
		Long: "Takes a CSV file in; \"-\" is the standard input. The file is UTF-8, its cells are parted by ; or , or tabs. A product\n" +
			"with two keys, a key of two products and a product that is not in the catalogue are mistakes: each is told with its\n" +
			"line, and nothing is changed. Exit 0: taken in, 2: mistakes.",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := readMapping(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			return a.withTarget(cmd.Context(), *target, func(ctx context.Context, shop local.Shop) error {
				result, err := shop.SetMapping(ctx, *target, entries, o)
				if err != nil {
					return err
				}
				a.sayMapping(*target, result, o.DryRun)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&o.Replace, "replace", false, "products that the file does not name lose their keys")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "only tell what would change")
	return c
}

func readMapping(stdin io.Reader, file string) ([]match.Entry, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("cannot open the mapping: %v", err)
		}
		defer f.Close()
		in = f
	}
	entries, err := match.ReadCSV(in)
	if mistakes, ok := errors.AsType[*match.MistakesError](err); ok {
		return nil, usage("%v", mistakes)
	}
	return entries, err
}

func (a *app) sayMapping(target string, r local.MappingResult, dry bool) {
	are := "are"
	if dry {
		are = "would be"
	}
	a.say("%s: %d products %s added, %d changed, %d removed; %d stay as they are", target, r.Added, are, r.Changed, r.Removed, r.Same)
	if len(r.Left) > 0 {
		const shown = 5
		a.say("nobody keeps these in step at %s any more, set them there by hand: %s", target, some(r.Left, shown))
	}
	if !dry {
		a.say("look at how it fits with `ostatok mapping check --target %s`", target)
	}
}

func (a *app) mappingExportCommand(target *string) *cobra.Command {
	return &cobra.Command{
		Use: "export [FILE]", Short: "Write the catalogue with the keys that are mapped, to fill in the others",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withTarget(cmd.Context(), *target, func(ctx context.Context, shop local.Shop) error {
				entries, err := shop.Mapping(ctx, *target)
				if err != nil {
					return err
				}
				if len(args) == 0 {
					return match.WriteCSV(a.out, entries)
				}
				return writeMapping(args[0], entries)
			})
		},
	}
}

func writeMapping(file string, entries []match.Entry) (err error) {
	// An older file may hold what somebody has filled in.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return usage("%s is there already; write to another file", file)
	}
	if err != nil {
		return fmt.Errorf("cannot write the mapping: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return match.WriteCSV(f, entries)
}

func (a *app) mappingCheckCommand(target *string) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Tell which products cannot be written to a target, and why",
		Long: "Looks at every product and, where the target has a list of what it knows, at that list too; the list of a large target\n" +
			"can take minutes. Exit 0: every product fits; 3: some are unmatched, ambiguous, duplicate or look alike, or the\n" +
			"target could not be asked.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withTarget(cmd.Context(), *target, func(ctx context.Context, shop local.Shop) error {
				report, err := shop.CheckMapping(ctx, *target)
				if err != nil {
					return err
				}
				if err := a.printMapping(report); err != nil {
					return err
				}
				if report.Failed || !report.Clean() {
					return &exitError{code: exitIncomplete}
				}
				return nil
			})
		},
	}
}

func (a *app) printMapping(r local.MappingReport) error {
	if a.format == formatJSON {
		return a.printJSON(r)
	}
	columns := []column{
		{title: "WHAT", name: "finding"}, {title: "CODE", name: "code"}, {title: "NAME", name: "name", cut: true},
		{title: "KEY", name: "key"}, {title: "SUGGESTED", name: "suggestion"}, {title: "REASON", name: "reason", cut: true},
	}
	csv := a.format == formatCSV
	if csv {
		columns = append([]column{{name: "product_id"}}, columns...)
	}
	l := a.list(columns...)
	rows := 0
	for _, group := range []struct {
		name     string
		findings []match.Finding
	}{
		{"unmatched", r.Unmatched}, {"ambiguous", r.Ambiguous}, {"duplicate", r.Duplicate}, {"look-alike", r.LookAlike}, {"unused", r.Unused},
	} {
		for _, f := range group.findings {
			cells := []string{group.name, f.Code, f.Name, f.Key, f.Suggestion, f.Reason}
			if csv {
				cells = append([]string{f.Product}, cells...)
			}
			l.add(cells...)
			rows++
		}
	}
	if csv || rows > 0 {
		if err := l.end(); err != nil {
			return err
		}
	}
	if r.Reason != "" {
		a.say("%s", r.Reason)
	}
	a.say("%s, by %s: %d products fit, %d unmatched, %d ambiguous, %d duplicate, %d look alike; %d of its keys have no product",
		r.Target, r.Match, r.Matched, len(r.Unmatched), len(r.Ambiguous), len(r.Duplicate), len(r.LookAlike), len(r.Unused))
	return nil
}

// some lists the first of many.
func some(all []string, shown int) string {
	text := fmt.Sprintf("%q", all[:min(shown, len(all))])
	if len(all) > shown {
		text += fmt.Sprintf(" and %d more", len(all)-shown)
	}
	return text
}
