package evotortest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"ostatok/agent/stock"
)

// card is a product of the shop with what the generator knows of it.
type card struct {
	stock.Product
	price     int64   // kopecks
	cost      int64   // kopecks
	weighed   bool    // sold by the kilogram, three decimals
	silent    bool    // no document ever names it
	untracked bool    // sold, never received: its stock goes ever further below zero
	until     int64   // no document after this, epoch ms
	gone      int64   // vanishes from the catalogue, epoch ms; 0 never
	daily     float64 // expected sales lines a day
	needed    bool    // waits for a delivery
	group     int
}

var (
	nouns  = []string{"Чай", "Кофе", "Молоко", "Хлеб", "Сыр", "Яблоки", "Печенье", "Торт", "Сироп", "Батарейка", "Тетрадь", "Сок", "Вода", "Колбаса", "Кекс", "Шампунь", "Масло", "Рис", "Крупа", "Конфеты"}
	traits = []string{"зелёный", "чёрный", "деревенский", "домашний", "большой", "малый", "фермерский", "классический", "острый", "сладкий", "лёгкий", "тёмный", "летний", "0,5", "0,3", "«Экстра»"}
	groups = []string{"Напитки", "Бакалея", "Выпечка", "Молочное", "Хозяйственное", "Весовое", "Услуги"}
)

const (
	groceryGroup = 1
	bakedGroup   = 2 // is in it
	serviceGroup = 6
	weighedGroup = 5
)

// newCards makes the catalogue. Popularity is long-tailed: the card of rank r
// sells in proportion to 1/(r+3).
func newCards(r *rand.Rand, ids *rand.Rand, s *Settings) []card {
	from, to := s.From.UnixMilli(), s.To.UnixMilli()
	span := float64(to - from)
	halfYear := s.To.AddDate(0, -6, 0).UnixMilli()
	cards := make([]card, s.Products)
	ranks := r.Perm(s.Products)
	for i := range cards {
		c := &cards[i]
		rank := ranks[i]
		group := r.IntN(weighedGroup)
		c.ID = uuid(ids)
		c.Type, c.Measure = "NORMAL", "шт"
		c.until, c.Created = math.MaxInt64, from
		c.price = int64(20+r.IntN(900)) * 100
		if r.IntN(3) == 0 {
			c.price -= 10 * int64(1+r.IntN(9))
		}
		c.cost = c.price * 7 / 10
		c.daily = 1 / float64(rank+3)
		head := rank < s.Products*3/5 // sold often enough to have documents
		switch k := r.Float64(); {
		case k < 0.01:
			c.Type, group, c.cost = "SERVICE", serviceGroup, 0
		case k < 0.16:
			c.weighed, c.Measure, group = true, "кг", weighedGroup
		case k < 0.18:
			c.Type = "ALCOHOL_NOT_MARKED"
		case k < 0.20:
			c.Type = "DAIRY_MARKED"
		}
		c.group = group
		c.Name = nouns[r.IntN(len(nouns))] + " " + traits[r.IntN(len(traits))]
		if c.Type == "SERVICE" {
			c.Name, c.Measure = "Услуга "+traits[r.IntN(len(traits))], "ед"
		}
		c.Code = fmt.Sprint(i + 1)
		if r.IntN(4) == 0 {
			c.Code = fmt.Sprintf("00-%08d", i+1) // longer than documented, and real
		}
		if r.IntN(2) == 0 {
			c.Article = fmt.Sprintf("А-%05d", r.IntN(100000))
		}
		for range r.IntN(3) {
			c.Barcodes = append(c.Barcodes, fmt.Sprintf("460%010d", r.Int64N(1e10)))
		}
		switch k := r.Float64(); {
		case c.Service():
		case k < 0.03:
			c.silent = true
		case k < 0.07 && head:
			c.until = halfYear - day - r.Int64N(30*day)
		case k < 0.11:
			c.Created = from + int64(span*(0.2+0.6*r.Float64()))
		case k < 0.125 && head:
			c.gone = from + int64(span*(0.5+0.4*r.Float64()))
			c.until = c.gone - day
		case k < 0.145:
			c.untracked = true
		}
		c.Updated = c.Created
	}
	return cards
}

// popularity picks products as customers do.
type popularity struct{ sums []float64 }

func newPopularity(cards []card, linesPerDay float64) *popularity {
	p := &popularity{sums: make([]float64, len(cards))}
	total := 0.0
	for i := range cards {
		if !cards[i].silent {
			total += cards[i].daily
		}
		p.sums[i] = total
	}
	for i := range cards {
		cards[i].daily *= linesPerDay / total
	}
	return p
}

func (p *popularity) pick(r *rand.Rand) int {
	x := r.Float64() * p.sums[len(p.sums)-1]
	return min(sort.SearchFloat64s(p.sums, x), len(p.sums)-1)
}

// sellable tells whether documents may name the product at a time.
func (c *card) sellable(at int64) bool {
	return !c.silent && c.Created <= at && at <= c.until
}

// listed tells whether the catalogue has the product at a time.
func (c *card) listed(at int64) bool {
	return c.Created <= at && (c.gone == 0 || at < c.gone)
}

const hexDigits = "0123456789abcdef"

// uuid makes a random version 4 id.
func uuid(r *rand.Rand) string {
	var raw [16]byte
	randomID(r, &raw)
	return string(appendUUID(nil, &raw))
}

func randomID(r *rand.Rand, raw *[16]byte) {
	a, b := r.Uint64(), r.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
}

func appendUUID(b []byte, raw *[16]byte) []byte {
	for i, c := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

// cloudID makes an id as the cloud gives to stores, terminals and employees:
// upper case, the day of creation in front, not a UUID.
func cloudID(r *rand.Rand, created int64) string {
	return fmt.Sprintf("%s-%04X-40%02X-80%02X-%012X", inZone(created).Format("20060102"),
		r.IntN(1<<16), r.IntN(1<<8), r.IntN(1<<8), r.Int64N(1<<48))
}
