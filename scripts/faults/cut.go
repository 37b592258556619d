package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// id is a file or directory for as long as it lives.
type id struct{ ino, gen uint64 }

type kind int

const (
	entered kind = iota // a new file got a name
	left                // a name is gone
	renamed
	written
	resized
	synced
	marked // something outside that the test wants to find again
)

// step is one thing that happened to a card.
type step struct {
	kind kind
	file id // also the directory that was synced
	at   int64
	data []byte

	dir     id
	name    string
	to      id
	newName string
	mode    uint32
}

// Loss is what a power cut does with what was not synced.
type Loss string

// The model is POSIX's promise and not more: fsync of a file makes its data and
// size durable, fsync of a directory its names; a file that was synced and whose
// directory was not has no name. (ext4 is kinder; it must not be relied on.)
// Each directory is on its own.
const (
	// All that was not synced is gone.
	All Loss = "all of it lost"
	// The card wrote in an order of its own: of every write that was not synced,
	// each sector of 512 bytes got there or not; of a directory's changes some
	// first ones did, because file systems keep those in order.
	Some Loss = "part of it lost"
)

// Mark notes that something happened outside at this moment, and returns after
// how many steps.
func (c *Card) Mark(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step{kind: marked, name: name})
	return len(c.steps)
}

// Steps is how many steps there are so far.
func (c *Card) Steps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.steps)
}

// Survives writes into a directory what is on the card when the power is cut
// after so many steps, and returns the marks until then.
func (c *Card) Survives(after int, loss Loss, rng *rand.Rand, into string) (marks []string, err error) {
	c.mu.Lock()
	steps := c.steps[:min(after, len(c.steps))]
	c.mu.Unlock()
	d := durable{files: map[id][]byte{}, dirs: map[id]map[string]id{}, modes: map[id]uint32{}, pending: map[id][]step{}}
	for i := range steps {
		s := &steps[i]
		switch s.kind {
		case entered:
			d.modes[s.file] = s.mode
			d.wait(s.dir, *s)
		case left:
			d.wait(s.dir, *s)
		case renamed:
			file := d.now(s.dir)[s.name]
			s.file = file
			d.wait(s.dir, *s)
			if s.to != s.dir { // its arrival is the other directory's
				d.wait(s.to, step{kind: entered, dir: s.to, name: s.newName, file: file})
			}
		case written, resized:
			d.wait(s.file, *s)
		case synced:
			for _, p := range d.pending[s.file] {
				d.apply(s.file, &p)
			}
			delete(d.pending, s.file)
		case marked:
			marks = append(marks, s.name)
		}
	}
	if loss == Some {
		d.scatter(rng)
	}
	return marks, d.write(id{rootID, 1}, into)
}

// durable is what is on the card for good, and what waits to be.
type durable struct {
	files   map[id][]byte
	dirs    map[id]map[string]id
	modes   map[id]uint32
	pending map[id][]step // by file or directory
}

func (d *durable) wait(of id, s step) { d.pending[of] = append(d.pending[of], s) }

// now is a directory as programs see it.
func (d *durable) now(dir id) map[string]id {
	names := maps.Clone(d.dirs[dir])
	if names == nil {
		names = map[string]id{}
	}
	for _, s := range d.pending[dir] {
		change(names, dir, &s)
	}
	return names
}

func change(names map[string]id, dir id, s *step) {
	switch s.kind {
	case entered:
		names[s.name] = s.file
	case left:
		delete(names, s.name)
	case renamed:
		delete(names, s.name)
		if s.to == dir {
			names[s.newName] = s.file
		}
	}
}

func (d *durable) apply(of id, s *step) {
	switch s.kind {
	case written:
		d.files[of] = put(d.files[of], s.at, s.data)
	case resized:
		d.files[of] = resize(d.files[of], int(s.at))
	default:
		if d.dirs[of] == nil {
			d.dirs[of] = map[string]id{}
		}
		change(d.dirs[of], of, s)
	}
}

func put(b []byte, at int64, data []byte) []byte {
	if end := int(at) + len(data); end > len(b) {
		b = resize(b, end)
	}
	copy(b[at:], data)
	return b
}

func resize(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n:n] // what was cut off must not come back
	}
	return append(b, make([]byte, n-len(b))...)
}

const sector = 512

// scatter lets part of what waits get there.
func (d *durable) scatter(rng *rand.Rand) {
	order := slices.SortedFunc(maps.Keys(d.pending), func(a, b id) int { return int(int64(a.ino) - int64(b.ino)) })
	for _, of := range order {
		waiting := d.pending[of]
		if waiting[0].kind != written && waiting[0].kind != resized {
			for _, s := range waiting[:rng.IntN(len(waiting)+1)] {
				d.apply(of, &s)
			}
			continue
		}
		for _, s := range waiting {
			if s.kind == resized {
				if rng.IntN(2) == 0 {
					d.apply(of, &s)
				}
				continue
			}
			for n := 0; n < len(s.data); {
				end := min(len(s.data), n+sector-int(s.at+int64(n))%sector)
				if rng.IntN(2) == 0 {
					d.files[of] = put(d.files[of], s.at+int64(n), s.data[n:end])
				}
				n = end
			}
		}
	}
}

// write makes a directory of what is durable.
func (d *durable) write(dir id, into string) error {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return err
	}
	for name, file := range d.dirs[dir] {
		to := filepath.Join(into, name)
		mode := d.modes[file]
		var err error
		switch mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			err = d.write(file, to)
		case syscall.S_IFREG:
			err = os.WriteFile(to, d.files[file], os.FileMode(mode&0o777))
		case syscall.S_IFSOCK: // a dead one says nothing
		default:
			err = fmt.Errorf("%s has mode %o, which was not thought of", to, mode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
