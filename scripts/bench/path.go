//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"ostatok/agent/local"
	"ostatok/agent/message"
)

// path is how long after a document was there each of these knew of it.
type path struct{ answered, told, shown, mqtt time.Duration }

func (p path) String() string {
	return fmt.Sprintf("%s %s %s %s", milli(p.answered), milli(p.told), milli(p.shown), milli(p.mqtt))
}

// whole is when the last of them knew.
func (p path) whole() time.Duration { return max(p.shown, p.mqtt) }

// paths follows new documents, sent in the shop and shown by the cloud, to an
// open page and to the operator.
func (x *box) paths(ctx context.Context) error {
	const most = 100 * time.Millisecond
	e, err := x.listen(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	sent, err := x.overLAN(ctx, e)
	if err != nil {
		return fmt.Errorf("a document in the shop: %w", err)
	}
	by := func(list []path, of func(path) time.Duration) string {
		var all []time.Duration
		for _, p := range list {
			all = append(all, of(p))
		}
		return milli(median(all))
	}
	whole := make([]time.Duration, len(sent))
	for i, p := range sent {
		whole[i] = p.whole()
	}
	x.b.add(median(whole) <= most, "one new document in the shop → level, page, MQTT (386)", "≤ 100 ms median",
		"%s (answered %s, page told %s, page read %s, MQTT %s; %d documents)", milli(median(whole)),
		by(sent, func(p path) time.Duration { return p.answered }), by(sent, func(p path) time.Duration { return p.told }),
		by(sent, func(p path) time.Duration { return p.shown }), by(sent, func(p path) time.Duration { return p.mqtt }), len(sent))
	shown, err := x.overCloud(ctx, e)
	if err != nil {
		return fmt.Errorf("a document in the cloud: %w", err)
	}
	x.b.add(true, "… and from the poll's answer that has it (386)", "–", "%s (page told %s, page read %s, MQTT %s; %d documents)",
		by(shown, path.whole), by(shown, func(p path) time.Duration { return p.told }),
		by(shown, func(p path) time.Duration { return p.shown }), by(shown, func(p path) time.Duration { return p.mqtt }), len(shown))
	return nil
}

// overLAN sends sales as a terminal does, one at a time.
func (x *box) overLAN(ctx context.Context, e *ears) ([]path, error) {
	device, err := x.device(ctx)
	if err != nil {
		return nil, err
	}
	items, err := x.known(ctx)
	if err != nil {
		return nil, err
	}
	if len(items) < here {
		return nil, fmt.Errorf("only %d levels are known", len(items))
	}
	var list []path
	for n, item := range items[:here] {
		if err := wait(ctx, time.Second); err != nil {
			return nil, err
		}
		number := 900_000 + n
		body := fmt.Sprintf(`{"type":"SELL","id":"00000000-0000-4000-8000-%012d","number":%d,"close_date":%q,"device_id":%q,"store_id":%q,`+
			`"version":"V2","body":{"positions":[{"product_id":%q,"quantity":1,"initial_quantity":%s}]}}`,
			number, number, time.Now().UTC().Format("2006-01-02T15:04:05.000-0700"), device, x.shop.Store, item.Product, item.Quantity)
		began := time.Now()
		if err := x.put(ctx, body); err != nil {
			return nil, err
		}
		p := path{answered: time.Since(began)}
		if err := x.follow(ctx, e, &p, began, item.Product, number); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	say("  documents in the shop: %v", list)
	return list, nil
}

// overCloud lets the shop live on in small steps and follows the first document
// of each that a poll shows.
func (x *box) overCloud(ctx context.Context, e *ears) ([]path, error) {
	items, err := x.known(ctx)
	if err != nil {
		return nil, err
	}
	x.window.follow(items)
	var list []path
	for step := 0; len(list) < there; step++ {
		if step > 2*there {
			return nil, fmt.Errorf("only %d documents in %d steps", len(list), step)
		}
		x.window.forget()
		if err := x.advance(ctx); err != nil {
			return nil, err
		}
		var seen sight
		for range 75 { // a poll is due within 5 s
			if err := wait(ctx, 100*time.Millisecond); err != nil {
				return nil, err
			}
			if seen = x.window.first(); seen.product != "" {
				break
			}
		}
		if seen.product == "" {
			continue // nobody bought anything
		}
		var p path
		switch err := x.follow(ctx, e, &p, seen.at, seen.product, seen.number); {
		case errors.Is(err, errNotTold): // it moved nothing, a prepayment for instance
		case err != nil:
			return nil, err
		default:
			list = append(list, p)
		}
	}
	say("  documents in the cloud: %v", list)
	return list, nil
}

// follow waits for what an open page and the operator are told of a product, and
// reads its page until it shows the document.
func (x *box) follow(ctx context.Context, e *ears, p *path, began time.Time, product string, number int) error {
	type result struct {
		took time.Duration
		err  error
	}
	operator := make(chan result, 1)
	go func() {
		took, err := e.wait(ctx, &e.mqtt, product, began)
		operator <- result{took, err}
	}()
	var err error
	if p.told, err = e.wait(ctx, &e.page, product, began); err != nil {
		return fmt.Errorf("the open page: %w", err)
	}
	for {
		body, err := x.get("/product?id=" + url.QueryEscape(product))
		if err != nil {
			return err
		}
		if p.shown = time.Since(began); strings.Contains(string(body), fmt.Sprintf("№\u00a0%d", number)) {
			break
		}
		if p.shown > 10*time.Second {
			return fmt.Errorf("the page of %s does not show document %d", product, number)
		}
	}
	r := <-operator
	if p.mqtt = r.took; r.err != nil {
		return fmt.Errorf("the operator: %w", r.err)
	}
	return nil
}

func (x *box) put(ctx context.Context, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+x.address+"/documents", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+senders)
	return send(r, nil)
}

func (x *box) advance(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.shop.URL+"/sandbox/advance", strings.NewReader(`{"by":"30m"}`))
	if err != nil {
		return err
	}
	return send(r, nil)
}

// device is one of the shop's terminals.
func (x *box) device(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.shop.URL+"/devices", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+x.shop.Token)
	var list struct{ Items []struct{ ID string } }
	if err := send(r, &list); err != nil {
		return "", err
	}
	if len(list.Items) == 0 {
		return "", errors.New("the shop has no terminal")
	}
	return list.Items[0].ID, nil
}

// send sends a request that must be answered 200.
func send(r *http.Request, into any) error {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", r.Method, r.URL.Path, resp.Status, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

// ears are an open page and an operator.
type ears struct {
	mu     sync.Mutex
	page   map[string]time.Time // when it was last told of a product
	mqtt   map[string]time.Time
	stream io.Closer
	client mqtt.Client
}

func (x *box) listen(ctx context.Context) (*ears, error) {
	e := &ears{page: make(map[string]time.Time), mqtt: make(map[string]time.Time)}
	o := mqtt.NewClientOptions().AddBroker(x.shop.MQTT).SetClientID("bench").SetUsername("operator")
	e.client = mqtt.NewClient(o)
	topic := message.TopicsOf(tenant, x.shop.Store).Stock
	token := e.client.Connect()
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		return nil, fmt.Errorf("cannot reach the broker: %w", token.Error())
	}
	token = e.client.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) {
		var s message.Stock
		if json.Unmarshal(m.Payload(), &s) == nil {
			for _, c := range s.Changes {
				e.hear(e.mqtt, c.Product)
			}
		}
	})
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		return nil, fmt.Errorf("cannot listen at the broker: %w", token.Error())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+x.address+"/live", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot follow the page: %w", err)
	}
	e.stream = resp.Body
	go func() { // ends with the stream
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if product, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				e.hear(e.page, product)
			}
		}
	}()
	return e, nil
}

func (e *ears) close() {
	e.client.Disconnect(100)
	_ = e.stream.Close()
}

func (e *ears) hear(who map[string]time.Time, product string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	who[product] = time.Now()
}

// errNotTold says that nobody was told within ten seconds.
var errNotTold = errors.New("was not told")

// wait waits until one of them was told of a product after a moment, and returns
// how long after it.
func (e *ears) wait(ctx context.Context, who *map[string]time.Time, product string, after time.Time) (time.Duration, error) {
	for range 20_000 {
		e.mu.Lock()
		at := (*who)[product]
		e.mu.Unlock()
		if at.After(after) {
			return at.Sub(after), nil
		}
		if err := wait(ctx, 500*time.Microsecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w of %s", errNotTold, product)
}

// window stands between the agent and the cloud and notes when an answer first
// shows a document.
type window struct {
	url   string
	close func()

	mu       sync.Mutex
	shown    map[string]bool // documents
	products map[string]bool // that are looked for
	seen     sight
}

// sight is a document that the cloud has shown for the first time.
type sight struct {
	at      time.Time // just before the first byte of the answer goes to the agent
	product string
	number  int
}

func watchCloud(cloud string) (*window, error) {
	to, err := url.Parse(cloud)
	if err != nil {
		return nil, err
	}
	w := &window{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.Path, "/documents") {
				return nil
			}
			text, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			r.Body = io.NopCloser(bytes.NewReader(text))
			if err != nil {
				return err
			}
			return w.look(text)
		},
	}
	server := httptest.NewServer(proxy)
	w.url, w.close = server.URL, server.Close
	return w, nil
}

func (w *window) look(text []byte) error {
	var page struct {
		Items []struct {
			ID, Type string
			Number   int
			Body     struct {
				Positions []struct {
					Product string `json:"product_id"`
				}
			}
		}
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown == nil {
		w.shown = make(map[string]bool)
	}
	for _, d := range page.Items {
		if !w.shown[d.ID] && w.seen.product == "" && d.Type == "SELL" && len(d.Body.Positions) > 0 && w.products[d.Body.Positions[0].Product] {
			w.seen = sight{product: d.Body.Positions[0].Product, number: d.Number}
		}
		w.shown[d.ID] = true
	}
	if w.seen.product != "" && w.seen.at.IsZero() {
		w.seen.at = time.Now()
	}
	return nil
}

// follow has documents looked for that begin with one of these products.
func (w *window) follow(items []local.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.products = make(map[string]bool)
	for _, item := range items {
		w.products[item.Product] = true
	}
}

// forget waits for the next one.
func (w *window) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = sight{}
}

func (w *window) first() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
