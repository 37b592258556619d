package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"ostatok/agent/stock"
)

// demo is one run.
type demo struct {
	sandbox   string
	agent     []string // the agent's command, with what runs it
	dir       string
	products  int
	documents int

	shop ready
}

// ready is what the sandbox writes when it serves.
type ready struct {
	URL     string  `json:"url"`
	Store   string  `json:"store"`
	Token   string  `json:"token"`
	VirtPOS backend `json:"virtpos"`
	Zelenka backend `json:"zelenka"`
	KeyCRM  backend `json:"keycrm"`
}

type backend struct {
	URL       string `json:"url"`
	Warehouse string `json:"warehouse"`
	Username  string `json:"username"`
	KeyFile   string `json:"key_file"`
}

func (d *demo) play(ctx context.Context, keep bool) error {
	if err := d.clear(); err != nil {
		return err
	}
	step("A shop: 2 terminals, %d products, %d documents in 14 months, in a simulated Evotor cloud; and VirtPOS, Zelenka and KeyCRM, kept by hand so far", d.products, d.documents)
	end, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := d.configure(); err != nil {
		return err
	}

	step("The first sync: ostatok sync --once")
	if err := d.ostatok(ctx, "sync", "--once"); err != nil {
		return err
	}
	step("On the shelf: ostatok stock (the first 15)")
	if err := d.head(ctx, 16, "stock"); err != nil {
		return err
	}
	if err := d.match(ctx); err != nil {
		return err
	}
	step("In the last six months no document says how many: ostatok stock --state unresolved (the first 5)")
	if err := d.head(ctx, 6, "stock", "--state", "unresolved"); err != nil {
		return err
	}
	step("So the older months are asked, which the agent does by itself in the background: ostatok sync --once --backfill")
	if err := d.ostatok(ctx, "sync", "--once", "--backfill"); err != nil {
		return err
	}
	step("Must be counted, the whole history says nothing: ostatok stock --state unknown (the first 8)")
	if err := d.head(ctx, 9, "stock", "--state", "unknown"); err != nil {
		return err
	}
	plans, err := d.plans(ctx)
	if err != nil {
		return err
	}
	step("Would be written: ostatok plan --target zelenka (the first 12 of %d rows)", len(plans["zelenka"].Rows))
	if err := d.head(ctx, 14, "plan", "--target", "zelenka"); err != nil {
		return err
	}
	if rows := plans["evotor"].Rows; len(rows) > 0 {
		step("Why this figure: ostatok explain %s (the end of the chain)", rows[0].Product)
		if err := d.tail(ctx, 8, "explain", rows[0].Product); err != nil {
			return err
		}
	}
	step("Approved: ostatok plan approve ID for each system, then ostatok sync --once")
	for _, s := range systems {
		p := plans[s.target]
		fmt.Printf("%-8s %5d figures, %d products not matched\n", s.target, len(p.Rows), len(p.Unmatched))
		if err := d.ostatok(ctx, "plan", "approve", p.ID); err != nil {
			return err
		}
	}
	if err := d.ostatok(ctx, "sync", "--once"); err != nil {
		return err
	}
	step("In step: what each system holds, asked by itself")
	if err := d.compare(ctx, plans); err != nil {
		return err
	}
	if keep {
		return d.keep(ctx)
	}
	fmt.Println("\nThe end. `make demo KEEP=1` leaves the shop selling and the agent running.")
	return nil
}

func step(format string, args ...any) { fmt.Printf("\n── "+format+"\n", args...) }

// clear removes what an earlier demo left, and only a folder that is a demo's.
func (d *demo) clear() error {
	mark := filepath.Join(d.dir, ".demo")
	if _, err := os.Stat(d.dir); err == nil {
		if _, err := os.Stat(mark); err != nil {
			return fmt.Errorf("%s exists and is not a demo's folder; remove it, or choose another with -dir", d.dir)
		}
		if err := os.RemoveAll(d.dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

// match brings the products of KeyCRM together that have no article in the shop:
// its user has a list of them.
func (d *demo) match(ctx context.Context) error {
	list, err := d.sandboxText(ctx, http.MethodGet, "/sandbox/mapping", "")
	if err != nil {
		return fmt.Errorf("cannot read the sandbox's mapping: %w", err)
	}
	file := filepath.Join(d.dir, "keycrm.csv")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return err
	}
	step("KeyCRM has its own SKUs for what has no article in the shop: ostatok mapping import %s --target keycrm", file)
	if err := d.ostatok(ctx, "mapping", "import", file, "--target", "keycrm"); err != nil {
		return err
	}
	step("What still does not fit, and is not written: ostatok mapping check --target keycrm")
	return d.headOf(ctx, 12, exitFindings, "mapping", "check", "--target", "keycrm")
}

// plan is what `ostatok plan show --format json` prints.
type plan struct {
	ID        string `json:"id"`
	Target    string `json:"target"`
	Unmatched []struct {
		Product string `json:"product_id"`
	} `json:"unmatched"`
	Rows []struct {
		Product string         `json:"product_id"`
		To      stock.Quantity `json:"to"`
		State   string         `json:"state"`
	} `json:"rows"`
}

func (p plan) unmatched(product string) bool {
	for _, u := range p.Unmatched {
		if u.Product == product {
			return true
		}
	}
	return false
}

// plans are the open plans by target; there must be one for each system.
func (d *demo) plans(ctx context.Context) (map[string]plan, error) {
	out, err := d.output(ctx, "plan", "show", "--format", "json")
	if err != nil {
		return nil, err
	}
	var list []plan
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("cannot read the plans: %w", err)
	}
	plans := make(map[string]plan)
	for _, p := range list {
		plans[p.Target] = p
	}
	for _, s := range systems {
		if len(plans[s.target].Rows) == 0 {
			return nil, fmt.Errorf("there is no plan for %s", s.target)
		}
	}
	return plans, nil
}
