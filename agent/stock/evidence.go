package stock

import (
	"cmp"
	"slices"
)

// Evidence is what folding one product, or a shop, taught about the shop. It is
// gathered under the bare rules, so that it is a function of the documents
// alone and not of the order in which they were learned.
type Evidence struct {
	Votes     map[Type]Votes       `json:"votes,omitempty"`
	Downloads map[string]Downloads `json:"downloads,omitempty"` // by terminal
}

// Votes counts the statements that fit one reading of a type and not the other.
type Votes struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// Downloads counts what a terminal's statements tell of its downloads.
type Downloads struct {
	Ages  [ages]int64 `json:"ages"`  // only a download explains it; by the least age that it had
	Stale [ages]int64 `json:"stale"` // the cloud had moved on, and the terminal had not noticed; by for how long
}

// ages are the classes of a download's age.
const ages = 6

// hour in ms.
const hour int64 = 3600_000

// ageLimits are the upper ends of the classes; the last one has none.
var ageLimits = [ages - 1]int64{hour, 4 * hour, 12 * hour, 26 * hour, 50 * hour}

// How much evidence settles a matter (design: readings; §13.4 of evotor-cloud
// gives the need, the numbers are ours).
const (
	votesLeast     = 5
	votesShare     = 90 // percent
	downloadsLeast = 20
	downloadsShare = 950 // per mille that must be younger than the age concluded; terminals are offline now and then
	neverShare     = 15  // percent, beside the stale statements, that may look like downloads by chance
)

// Add adds what a product taught.
func (e *Evidence) Add(f *Fold) { e.count(f, 1) }

// Remove takes back what Add added for the same state of the product.
func (e *Evidence) Remove(f *Fold) { e.count(f, -1) }

func (e *Evidence) count(f *Fold, by int64) {
	ev := f.evidence()
	for _, v := range ev.votes {
		if e.Votes == nil {
			e.Votes = map[Type]Votes{}
		}
		sum := e.Votes[v.kind]
		sum.Before += by * v.Before
		sum.After += by * v.After
		if sum == (Votes{}) {
			delete(e.Votes, v.kind)
		} else {
			e.Votes[v.kind] = sum
		}
	}
	for _, d := range ev.downloads {
		if e.Downloads == nil {
			e.Downloads = map[string]Downloads{}
		}
		sum := e.Downloads[d.device]
		for i := range ages {
			sum.Ages[i] += by * d.Ages[i]
			sum.Stale[i] += by * d.Stale[i]
		}
		if sum == (Downloads{}) {
			delete(e.Downloads, d.device)
		} else {
			e.Downloads[d.device] = sum
		}
	}
}

// Decide derives the shop's rules from its evidence; base carries what is known
// otherwise. Pinned readings win over votes. A clear majority of votes (at least
// five, nine of ten) settles a reading. A terminal whose downloads are nearly
// all young is known to be fresh, and by how much.
func Decide(base Rules, e *Evidence, pinned map[Type]Reading) Rules {
	r := base
	r.Readings, r.Fresh, r.Never = nil, nil, nil
	r.Started = slices.SortedFunc(slices.Values(base.Started), func(a, b Start) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Device, b.Device))
	})
	settle := func(t Type, reading Reading) {
		if r.Readings == nil {
			r.Readings = map[Type]RuleReading{}
		}
		r.Readings[t] = RuleReading{reading, true}
	}
	for t, v := range e.Votes {
		total := v.Before + v.After
		if total < votesLeast {
			continue
		}
		if v.Before*100 >= total*votesShare {
			settle(t, Before)
		} else if v.After*100 >= total*votesShare {
			settle(t, After)
		}
	}
	for t, reading := range pinned {
		settle(t, reading)
	}
	for device, d := range e.Downloads {
		if age := d.limit(); age > 0 {
			if r.Fresh == nil {
				r.Fresh = map[string]int64{}
			}
			r.Fresh[device] = age
		}
		if d.never() {
			if r.Never == nil {
				r.Never = map[string]bool{}
			}
			r.Never[device] = true
		}
	}
	return r
}

// limit is the age, ms, that the terminal's downloads do not exceed, 0 when the
// counts do not tell. The counts hold least ages, so the conclusion is drawn one
// class wider than they say.
func (d Downloads) limit() int64 {
	if total(d.Ages) < downloadsLeast {
		return 0
	}
	most := total(d.Ages) + total(d.Stale)
	sum := int64(0)
	for i := range ages - 1 {
		sum += d.Ages[i] + d.Stale[i]
		if sum*1000 >= most*downloadsShare {
			if i+1 < len(ageLimits) {
				i++
			}
			return ageLimits[i]
		}
	}
	return 0
}

// never tells whether the terminal lives on what it loaded at its activation: it
// went on for days without noticing what a download would have shown. The few
// statements that look like downloads are chance.
func (d Downloads) never() bool {
	stale := total(d.Stale)
	return stale >= downloadsLeast && d.Stale[ages-1]*2 >= stale && total(d.Ages)*100 <= stale*neverShare
}

func total(counts [ages]int64) int64 {
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}

// evidence is the compact form that a product's fold carries.
type evidence struct {
	votes     []typeVotes
	downloads []deviceDownloads
}

type typeVotes struct {
	kind Type
	Votes
}

type deviceDownloads struct {
	device string
	Downloads
}

func (e *evidence) vote(t Type, before bool) {
	i := 0
	for i < len(e.votes) && e.votes[i].kind != t {
		i++
	}
	if i == len(e.votes) {
		e.votes = append(e.votes, typeVotes{kind: t})
	}
	if before {
		e.votes[i].Before++
	} else {
		e.votes[i].After++
	}
}

func (e *evidence) download(device string, age int64) { e.of(device).Ages[class(age)]++ }

func (e *evidence) stale(device string, age int64) { e.of(device).Stale[class(age)]++ }

func class(age int64) int {
	i := 0
	for i < len(ageLimits) && age > ageLimits[i] {
		i++
	}
	return i
}

func (e *evidence) of(device string) *Downloads {
	for i := range e.downloads {
		if e.downloads[i].device == device {
			return &e.downloads[i].Downloads
		}
	}
	e.downloads = append(e.downloads, deviceDownloads{device: device})
	return &e.downloads[len(e.downloads)-1].Downloads
}
