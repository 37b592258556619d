package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	URL   string `json:"url"`
	Store string `json:"store"`
	Token string `json:"token"`
}

func (d *demo) play(ctx context.Context, keep bool) error {
	if err := d.clear(); err != nil {
		return err
	}
	step("A shop: 2 terminals, %d products, %d documents in 14 months, served by a simulated Evotor cloud", d.products, d.documents)
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
	plan, err := d.plan(ctx)
	if err != nil {
		return err
	}
	step("Would be written to the cloud: ostatok plan (the first 12 of %d rows)", len(plan.Rows))
	if err := d.head(ctx, 14, "plan"); err != nil {
		return err
	}
	if len(plan.Rows) > 0 {
		step("Why this figure: ostatok explain %s (the end of the chain)", plan.Rows[0].Product)
		if err := d.tail(ctx, 8, "explain", plan.Rows[0].Product); err != nil {
			return err
		}
	}
	step("Approved: ostatok plan approve %s, then ostatok sync --once", plan.ID)
	if err := d.ostatok(ctx, "plan", "approve", plan.ID); err != nil {
		return err
	}
	if err := d.ostatok(ctx, "sync", "--once"); err != nil {
		return err
	}
	step("The cloud, asked by itself")
	if err := d.compare(ctx, plan); err != nil {
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

// configure writes what an installer would.
func (d *demo) configure() error {
	token := filepath.Join(d.dir, "evotor.token")
	if err := os.WriteFile(token, []byte(d.shop.Token+"\n"), 0o600); err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(d.dir, "data"))
	if err != nil {
		return err
	}
	token, err = filepath.Abs(token)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`store    = %q
data_dir = %q

[evotor]
url        = %q
token_file = %q
write      = "approve"
poll       = "10s"
`, d.shop.Store, data, d.shop.URL, token)
	return os.WriteFile(d.config(), []byte(text), 0o600)
}

func (d *demo) config() string { return filepath.Join(d.dir, "ostatok.toml") }

// plan is what `ostatok plan show --format json` prints.
type plan struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	Rows   []struct {
		Product string      `json:"product_id"`
		To      json.Number `json:"to"`
		State   string      `json:"state"`
	} `json:"rows"`
}

func (d *demo) plan(ctx context.Context) (plan, error) {
	out, err := d.output(ctx, "plan", "show", "--format", "json")
	if err != nil {
		return plan{}, err
	}
	var plans []plan
	if err := json.Unmarshal([]byte(out), &plans); err != nil {
		return plan{}, fmt.Errorf("cannot read the plan: %w", err)
	}
	for _, p := range plans {
		if p.Target == "evotor" && len(p.Rows) > 0 {
			return p, nil
		}
	}
	return plan{}, fmt.Errorf("there is no plan")
}

// compare asks the simulated cloud, and the shop that it serves, whether the
// figures that were approved are there and are right.
func (d *demo) compare(ctx context.Context, p plan) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.shop.URL+"/sandbox/truth", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var truth struct {
		Products []struct {
			Product  string       `json:"product_id"`
			Told     *json.Number `json:"told"`
			Physical json.Number  `json:"physical"`
			Cloud    json.Number  `json:"cloud"`
		} `json:"products"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&truth); err != nil {
		return fmt.Errorf("cannot read the sandbox's truth: %w", err)
	}
	wanted := map[string]json.Number{}
	for _, r := range p.Rows {
		if r.State != "assumed" {
			wanted[r.Product] = r.To
		}
	}
	held, right := 0, 0
	var wrong []string
	for _, t := range truth.Products {
		to, ok := wanted[t.Product]
		if !ok {
			continue
		}
		if t.Cloud == to {
			held++
		} else {
			wrong = append(wrong, fmt.Sprintf("%s: the cloud holds %s, approved was %s", t.Product, t.Cloud, to))
		}
		if t.Told != nil && *t.Told == to {
			right++
		}
	}
	fmt.Printf("%d figures were approved; the cloud holds %d of them; %d equal the truth that the documents can tell.\n", len(wanted), held, right)
	if held != len(wanted) {
		return fmt.Errorf("the cloud does not hold what was approved: %s", strings.Join(wrong[:min(3, len(wrong))], "; "))
	}
	return nil
}
