package evotortest

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"ostatok/agent/stock"
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	zone = 3 * hour // the shop's local time, east of UTC
)

func inZone(at int64) time.Time { return time.UnixMilli(at + zone).UTC() }

// Document is a document as the cloud has it.
type Document struct {
	stock.Document
	JSON []byte // V2, flat, in the shape of real documents; shared, not to be changed
}

// Device is a terminal as the cloud lists it.
type Device struct {
	ID, Name, Store string
	Created         int64 // epoch ms
	Offset          int64 // ms east of UTC
}

// Group is a product group.
type Group struct {
	ID, Name string
	Parent   string // the group that it is in, "" for none
	Created  int64  // epoch ms
}

// Shop is a simulated shop. Its methods may be called at the same time.
type Shop struct {
	mu  sync.Mutex
	set Settings
	rng *rand.Rand // what happens
	ids *rand.Rand // what things are called
	now int64      // everything up to here has happened, epoch ms

	queue      queue
	cards      []card
	groups     []Group
	index      map[string]int32
	popularity *popularity
	terminals  []*terminal
	needs      []int32 // products that wait for a delivery
	sold       []soldLine

	perDay, owed float64 // documents a day, and what earlier days did not round up to
	gap          float64 // mean ms between outside changes; 0 none

	physical   []stock.Quantity // on the shelf
	cloud      []stock.Quantity // the cloud's own figure, shown or not
	shown      []bool           // the cloud reports its figure
	counted    []int            // sequence of the newest count of the product that arrived
	open       []*draft         // counts closed and not arrived
	travelling []*draft         // documents closed and not arrived
	initial    []stock.Quantity

	documents []Document // arrived, in order of arrival
	closed    []stock.Document
	outside   [][]Outside
	stated    [][]statement
	patches   [][]Patch
	written   []Patch // all patches, in order
	downloads []Download
	renderer  renderer
}

// terminal is a cash register with its own view of the stock.
type terminal struct {
	Device
	weight     float64
	employee   string
	view       []stock.Quantity
	downloaded int64 // epoch ms
	activated  bool
	offline    bool
	queue      []*draft // closed while offline
	inFlight   int      // on their way to the cloud
	arrival    int64    // of the last of them
	lastClosed int64
	number     int64
	resetAt    int64 // the number starts again at 1, epoch ms; 0 never
	line       int64 // running number of positions
	session    int64
	sessionID  string
	receipt    int64
}

// NewShop makes a shop and lets it live from Settings.From to Settings.To. Run
// goes on from there.
func NewShop(settings Settings) *Shop {
	s := &Shop{set: settings.withDefaults()}
	s.rng = rand.New(rand.NewPCG(s.set.Seed, 0x6f73746174))
	s.ids = rand.New(rand.NewPCG(s.set.Seed, 0x6f6b))
	s.renderer.r = rand.New(rand.NewPCG(s.set.Seed, 0x6a736f6e))
	from, to := s.set.From.UnixMilli(), s.set.To.UnixMilli()
	s.now = from - 1
	if s.set.Store == "" {
		s.set.Store = cloudID(s.ids, from)
	}
	for _, name := range groups {
		s.groups = append(s.groups, Group{ID: uuid(s.ids), Name: name, Created: from})
	}
	s.groups[bakedGroup].Parent = s.groups[groceryGroup].ID

	days := math.Max(float64(to-from)/float64(day), 1)
	s.perDay = float64(s.set.Documents) / days
	s.cards = newCards(s.rng, s.ids, &s.set)
	s.popularity = newPopularity(s.cards, s.perDay*meanLines)
	s.index = make(map[string]int32, len(s.cards))
	n := len(s.cards)
	s.physical, s.cloud, s.initial = make([]stock.Quantity, n), make([]stock.Quantity, n), make([]stock.Quantity, n)
	s.shown, s.counted = make([]bool, n), make([]int, n)
	s.outside, s.stated, s.patches = make([][]Outside, n), make([][]statement, n), make([][]Patch, n)
	for i := range s.cards {
		c := &s.cards[i]
		c.Parent = s.groups[c.group].ID
		s.index[c.ID] = int32(i)
		s.counted[i] = -1
		s.shown[i] = s.set.QuantityShown
		if c.Service() || c.untracked || c.Created > from {
			continue
		}
		s.initial[i] = s.amount(c, 20)
		s.physical[i], s.cloud[i] = s.initial[i], s.initial[i]
	}

	s.addTerminals(from, to)
	if s.set.Outside > 0 {
		s.gap = float64(to-from) / (s.set.Outside * float64(n))
		s.push(event{at: from + s.wait(s.gap), action: changeOutside})
	}
	for i := range s.set.FullCounts + s.set.PartialCounts {
		e := event{at: from + int64(s.rng.Float64()*float64(to-from)), action: closeDocument, kind: partialCount}
		if i < s.set.FullCounts {
			e.kind = fullCount
		}
		e.at -= e.at % second
		e.terminal = s.pickTerminal(e.at)
		s.push(e)
	}
	s.push(event{at: from, action: planDay})
	s.run(to)
	return s
}

func (s *Shop) addTerminals(from, to int64) {
	names := []string{"Касса", "Касса у входа", "Касса №3", "Отдел", "Кафе", "Склад"}
	created := make([]string, 0, s.set.Terminals)
	joins := int64(0)
	if s.set.Terminals > 1 {
		joins = from + int64(float64(to-from)*(0.3+0.3*s.rng.Float64()))
	}
	for i := range s.set.Terminals {
		at := from
		if i > 0 && i == s.set.Terminals-1 {
			at = joins
		}
		created = append(created, cloudID(s.ids, at))
	}
	// Documents of one second are ordered by device, so the generator's own
	// order of terminals is the order of their ids.
	slices.Sort(created)
	for i, id := range created {
		t := &terminal{
			Device:   Device{ID: id, Name: names[i%len(names)], Store: s.set.Store, Created: from, Offset: zone},
			weight:   0.25 + s.rng.Float64(),
			employee: cloudID(s.ids, from),
			view:     make([]stock.Quantity, len(s.cards)),
			number:   int64(s.rng.IntN(50)),
		}
		if i > 0 && i == s.set.Terminals-1 {
			t.Created = joins
		}
		if s.rng.IntN(2) == 0 {
			t.resetAt = t.Created + int64(float64(to-t.Created)*s.rng.Float64())
		}
		s.terminals = append(s.terminals, t)
		s.push(event{at: t.Created, action: download, terminal: i})
		if s.set.LateShare > 0 {
			s.push(event{at: t.Created + s.wait(s.onlineMean()), action: goOffline, terminal: i})
		}
	}
}

// Settings returns the settings with the defaults filled in.
func (s *Shop) Settings() Settings { return s.set }

// Store returns the id of the shop.
func (s *Shop) Store() string { return s.set.Store }

// Now is the time up to which the shop has lived.
func (s *Shop) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.UnixMilli(s.now).UTC()
}

// Run lets the shop live on: documents happen, terminals download, outside
// changes come. The steps in which it is called change nothing.
func (s *Shop) Run(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(until.UnixMilli())
}

func (s *Shop) run(until int64) {
	for {
		e, ok := s.queue.pop(until)
		if !ok {
			break
		}
		s.now = max(s.now, e.at)
		s.happen(&e)
	}
	s.now = max(s.now, until)
}

func (s *Shop) push(e event) { s.queue.push(e) }

// wait draws a time until the next of events that come at random, ms.
func (s *Shop) wait(mean float64) int64 { return 1 + int64(s.rng.ExpFloat64()*mean) }

// Documents returns the documents that the cloud has, in order of arrival. The
// slice is a snapshot: it does not grow.
func (s *Shop) Documents() []Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[:len(s.documents):len(s.documents)]
}

// Products returns the catalogue as it is now, with the cloud's figures.
func (s *Shop) Products() []stock.Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	products := make([]stock.Product, 0, len(s.cards))
	for i := range s.cards {
		if s.cards[i].listed(s.now) {
			products = append(products, s.product(i))
		}
	}
	return products
}

func (s *Shop) product(i int) stock.Product {
	p := s.cards[i].Product
	if !p.Service() {
		p.HasCloud = true
		p.Cloud = s.reported(i)
	}
	return p
}

func (s *Shop) reported(i int) stock.Quantity {
	if !s.shown[i] {
		return 0
	}
	return s.cloud[i]
}

// Groups returns the product groups.
func (s *Shop) Groups() []Group { return slices.Clone(s.groups) }

// Devices returns the terminals activated by now, in order of activation.
func (s *Shop) Devices() []Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	var devices []Device
	for _, t := range s.terminals {
		if t.Created <= s.now {
			devices = append(devices, t.Device)
		}
	}
	slices.SortStableFunc(devices, func(a, b Device) int { return strings.Compare(a.ID[:8], b.ID[:8]) })
	return devices
}

// Physical returns what is on the shelf.
func (s *Shop) Physical(product string) stock.Quantity {
	return s.figure(product, func(i int) stock.Quantity { return s.physical[i] })
}

// Initial returns what was on the shelf at Settings.From.
func (s *Shop) Initial(product string) stock.Quantity {
	return s.figure(product, func(i int) stock.Quantity { return s.initial[i] })
}

// Cloud returns the quantity that the cloud reports for the product.
func (s *Shop) Cloud(product string) stock.Quantity {
	return s.figure(product, s.reported)
}

func (s *Shop) figure(product string, of func(int) stock.Quantity) stock.Quantity {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[product]
	if !ok {
		return 0
	}
	return of(int(i))
}

// SetQuantity is a PATCH: the cloud's figure of the product is q from at on,
// and is reported from then on. The shop lives on to at first. It tells whether
// the catalogue has such a product that keeps stock.
func (s *Shop) SetQuantity(product string, q stock.Quantity, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(at.UnixMilli())
	i, ok := s.index[product]
	if !ok || !s.cards[i].listed(s.now) || s.cards[i].Service() {
		return false
	}
	s.cloud[i], s.shown[i] = q, true
	s.cards[i].Updated = s.now
	patch := Patch{Product: product, At: s.now, Quantity: q}
	s.patches[i], s.written = append(s.patches[i], patch), append(s.written, patch)
	return true
}
