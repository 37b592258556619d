package page

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ostatok/agent/stock"
)

func TestChartOfALongHistoryIsShort(t *testing.T) {
	var points []point
	for i := range 100_000 {
		p := point{at: int64(i) * 60_000, level: stock.Quantity(i%977) * 1000}
		if i == 5000 {
			p.mark = "count"
		}
		points = append(points, p)
	}
	d := draw(points, 100_000*60_000)
	if n := len(d.line); n > 20_000 {
		t.Errorf("the line has %d bytes", n)
	}
	if d.least != 0 || d.most != 976_000 || strings.Count(d.counts, "M") != 1 || d.outside != "" {
		t.Errorf("least %s, most %s, counts %q", d.least, d.most, d.counts)
	}
}

// Whatever the history, the drawing stays inside its frame.
func TestChartStaysInItsFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []point
		at := rapid.Int64Range(0, 2_000_000_000_000).Draw(t, "from")
		for range rapid.IntRange(1, 30).Draw(t, "points") {
			at += rapid.Int64Range(0, 10_000_000_000).Draw(t, "later")
			points = append(points, point{at: at, level: stock.Quantity(rapid.Int64Range(-1e15, 1e15).Draw(t, "level"))})
		}
		d := draw(points, rapid.Int64Range(0, 3_000_000_000_000).Draw(t, "now"))
		number, command := 0, byte(0)
		check := func() {
			most := chartHigh
			if command == 'H' || command == 'M' {
				most = chartWide
			}
			if command != 0 && (number < 0 || number > most) {
				t.Fatalf("%c%d in %s", command, number, d.line)
			}
		}
		for i := range len(d.line) {
			switch c := d.line[i]; {
			case c >= '0' && c <= '9':
				number = number*10 + int(c-'0')
			case c == '-':
				t.Fatalf("outside the frame: %s", d.line)
			default:
				check()
				number, command = 0, c
			}
		}
		check()
	})
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	ru, en := russian(), english()
	for _, c := range []struct {
		q      stock.Quantity
		ru, en string
	}{
		{0, "0", "0"}, {236, "0,236", "0.236"}, {-4_500, "−4,5", "−4.5"}, {1_204_000, "1204", "1204"},
		{12_345_678_001, "12\u00a0345\u00a0678,001", "12,345,678.001"},
	} {
		if got := ru.quantity(c.q); got != c.ru {
			t.Errorf("ru %q, want %q", got, c.ru)
		}
		if got := en.quantity(c.q); got != c.en {
			t.Errorf("en %q, want %q", got, c.en)
		}
	}
	for n, want := range map[int]string{1: "1 товар", 2: "2 товара", 5: "5 товаров", 11: "11 товаров", 12: "12 товаров", 21: "21 товар", 104: "104 товара", 111: "111 товаров"} {
		if got := strings.ReplaceAll(ru.plural(n, ru.products), hardSpace, " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
