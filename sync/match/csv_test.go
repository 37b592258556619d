package match_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ostatok/sync/match"
)

func TestReadCSV(t *testing.T) {
	milk := match.Entry{Line: 2, Product: "p1", Name: "Молоко; 1 л", Key: "007"}
	for name, c := range map[string]struct {
		text string
		want []match.Entry
	}{
		"semicolons":         {"product_id;name;key\np1;\"Молоко; 1 л\";007\n", []match.Entry{milk}},
		"commas":             {"product_id,name,key\np1,Молоко; 1 л,007\n", []match.Entry{milk}},
		"tabs":               {"product_id\tname\tkey\np1\tМолоко; 1 л\t007\n", []match.Entry{milk}},
		"a byte order mark":  {"\ufeffproduct_id;name;key\r\np1;\"Молоко; 1 л\";007\r\n", []match.Entry{milk}},
		"Russian names":      {"Ид;Название;КЛЮЧ\np1;\"Молоко; 1 л\";007", []match.Entry{milk}},
		"another order":      {" key ,price,product_id,name\n007,12.50,p1,Молоко; 1 л\n", []match.Entry{milk}},
		"a line for Excel":   {"sep=,\nproduct_id,key\np1,007\n", []match.Entry{{Line: 3, Product: "p1", Key: "007"}}},
		"empty lines":        {"product_id;key\n;\n\np1;007\n", []match.Entry{{Line: 4, Product: "p1", Key: "007"}}},
		"short lines":        {"code;key;name\n17;007\n18\n", []match.Entry{{Line: 2, Code: "17", Key: "007"}, {Line: 3, Code: "18"}}},
		"cells of spaces":    {"product_id;code;key\n \u00a0;17; \n", []match.Entry{{Line: 2, Code: "17"}}},
		"spaces are kept":    {"code;key\n17; 007 \n", []match.Entry{{Line: 2, Code: "17", Key: " 007 "}}},
		"separators at ends": {"code;key;;\n17;007;;\n", []match.Entry{{Line: 2, Code: "17", Key: "007"}}},
		"a header alone":     {"code;key\n", nil},
		"all columns":        {"ид;код;артикул;штрихкод;название;ключ\n1;2;3;4;5;6\n", []match.Entry{{Line: 2, Product: "1", Code: "2", Article: "3", Barcode: "4", Name: "5", Key: "6"}}},
	} {
		got, err := match.ReadCSV(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReadCSVMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []match.Mistake // messages in part
	}{
		"nothing":               {"", []match.Mistake{{1, "no column “key”"}}},
		"no key":                {"product_id;sku\np1;7\n", []match.Mistake{{1, "no column “key”"}}},
		"no product":            {"name;key\nMilk;7\n", []match.Mistake{{1, "no column says which product"}}},
		"a column twice":        {"code;код;key\n1;2;3\n", []match.Mistake{{1, "column code is there 2 times"}}},
		"another encoding":      {"code;key;name\n1;2;abc\n2;3;\xcc\xee\xeb\xee\xea\xee\n", []match.Mistake{{3, "not UTF-8"}}},
		"UTF-16":                {"\xff\xfec\x00o\x00d\x00e\x00", []match.Mistake{{1, "not UTF-8"}}},
		"quotes":                {"code;key\n1;2\n2;\"3\n", []match.Mistake{{3, "quotes do not match"}}},
		"a separator in a cell": {"code;name;key\n1;a;b;2\n", []match.Mistake{{2, "has 4 cells and the header 3"}}},
		"several": {"code;article;key\n1;;4,60702E+12\n;;7\n3;;ok\n;x;1e5\n",
			[]match.Mistake{{2, "shortened the key to 4,60702E+12"}, {3, "the key \"7\" has no product"}, {5, "shortened the key to 1e5"}}},
	} {
		_, err := match.ReadCSV(strings.NewReader(c.text))
		mistakes, ok := errors.AsType[*match.MistakesError](err)
		if !ok {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		same := len(mistakes.Mistakes) == len(c.want)
		for i, m := range mistakes.Mistakes {
			same = same && m.Line == c.want[i].Line && strings.Contains(m.Message, c.want[i].Message)
		}
		if !same {
			t.Errorf("%s: %v", name, mistakes)
		}
	}
}

func TestReadCSVTellsOfMistakesOnce(t *testing.T) {
	_, err := match.ReadCSV(strings.NewReader("code;key\n" + strings.Repeat(";7\n", 1000)))
	if text := err.Error(); !strings.HasSuffix(text, "… and 950 more") || strings.Count(text, "\n") != 51 {
		t.Errorf("%d lines, the end is %q", strings.Count(text, "\n"), text[len(text)-40:])
	}
}

func TestWriteCSV(t *testing.T) {
	var out bytes.Buffer
	err := match.WriteCSV(&out, []match.Entry{
		{Line: 9, Product: "p1", Code: "17", Article: "A;1", Barcode: "4607", Name: "Сок \"Я\"", Key: "007"}, {Product: "p2"},
	})
	want := "\ufeffproduct_id;code;article;barcode;name;key\np1;17;\"A;1\";4607;\"Сок \"\"Я\"\"\";007\np2;;;;;\n"
	if diff := cmp.Diff(want, out.String()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	full := errors.New("no space left")
	if err := match.WriteCSV(failing{full}, []match.Entry{{Key: "1"}}); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// cell is any text that is not blank; line ends of the other system are not kept.
func cell() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-zа-я;,"\n\t ]{0,5}[a-zа-я0-9_]`))
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOf(rapid.Custom(func(t *rapid.T) match.Entry {
			return match.Entry{
				Product: "p" + cell().Draw(t, "product"), Code: cell().Draw(t, "code"), Article: cell().Draw(t, "article"),
				Barcode: cell().Draw(t, "barcode"), Name: cell().Draw(t, "name"), Key: "k" + cell().Draw(t, "key"),
			}
		})).Draw(t, "entries")
		var out bytes.Buffer
		if err := match.WriteCSV(&out, entries); err != nil {
			t.Fatal(err)
		}
		got, err := match.ReadCSV(&out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Line = 0
		}
		if len(got) != len(entries) || len(got) > 0 && !cmp.Equal(entries, got) {
			t.Fatal(cmp.Diff(entries, got))
		}
	})
}

// Whatever a file holds, reading it ends, with entries that have a product or
// with mistakes that have lines of the file.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{
		"product_id;key\np1;7\n", "\ufeffкод,ключ\r\n1,\"a\"\"b\"\r\n", "sep=;\ncode;key\n;1\n", "key\n\"", "code\tkey\n1\t2\t3\n", "code;key\n1;\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := match.ReadCSV(bytes.NewReader(raw))
		lines := bytes.Count(raw, []byte("\n")) + 1
		if mistakes, ok := errors.AsType[*match.MistakesError](err); ok {
			if len(mistakes.Mistakes) == 0 {
				t.Error("no mistake in the error")
			}
			for _, m := range mistakes.Mistakes {
				if m.Line < 0 || m.Line > lines || m.Message == "" {
					t.Errorf("line %d of %d: %q", m.Line, lines, m.Message)
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Line < 2 || e.Line > lines {
				t.Errorf("line %d of %d", e.Line, lines)
			}
			if e.Key != "" && e.Product+e.Code+e.Article+e.Barcode == "" {
				t.Errorf("a key without a product: %+v", e)
			}
		}
	})
}
