// Package faults runs the real `ostatok` on file systems that fail: a FUSE file
// system that loses what was not synced or answers EIO at the n-th call, a tmpfs
// of a few MB, a limit on the size of files, a read-only remount. It is a module
// of its own, so that what it needs never comes into the agent's.
package faults

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Call is a kind of request to a card.
type Call string

// The calls that are counted, and so can be made to fail. Looking a name up,
// its attributes, a directory's list, and closing always pass: a card that
// cannot do these is gone, which is another fault.
const (
	Open     Call = "open"
	Create   Call = "create" // also of sockets
	Write    Call = "write"
	Truncate Call = "truncate" // every change of attributes
	Fsync    Call = "fsync"    // of a file or a directory
	Rename   Call = "rename"
	Unlink   Call = "unlink"
	Mkdir    Call = "mkdir" // and rmdir
	Read     Call = "read"
)

// Writing are the calls that change something, and opening.
func Writing() []Call {
	return []Call{Open, Create, Write, Truncate, Fsync, Rename, Unlink, Mkdir}
}

// Fault says which calls fail.
type Fault struct {
	Calls []Call
	Nth   int // of these calls, from 1
	Stays bool
	Errno syscall.Errno
}

// Card is a directory seen through a file system that remembers what was asked
// of it, and fails when it is told to.
type Card struct {
	Dir string // where it is mounted

	backing string
	server  *fuse.Server

	mu      sync.Mutex
	steps   []step // what was done, for Survives
	keep    bool
	fault   *Fault
	counted int    // calls that the fault could have met
	hit     []Call // those that it met
}

// Insert mounts an empty card. A recording one remembers every step.
func Insert(backing, dir string, recording bool) (*Card, error) {
	c := &Card{Dir: dir, backing: backing, keep: recording}
	var st syscall.Stat_t
	if err := syscall.Stat(backing, &st); err != nil {
		return nil, err
	}
	root := &fs.LoopbackRoot{Path: backing, Dev: uint64(st.Dev)}
	root.NewNode = func(data *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{LoopbackNode: fs.LoopbackNode{RootData: data}, card: c}
	}
	n := &node{LoopbackNode: fs.LoopbackNode{RootData: root}, card: c}
	root.RootNode = n
	// The kernel keeps pages: SQLite maps its -shm file shared, which a file
	// system with direct_io cannot do. It writes through, so a failed write is
	// the writer's to know. It keeps the locks, too.
	server, err := fs.Mount(dir, n, &fs.Options{
		RootStableAttr: &fs.StableAttr{Ino: rootID, Gen: 1},
		MountOptions:   fuse.MountOptions{FsName: "card", Name: "card", DirectMount: true, DisableXAttrs: true},
	})
	if err != nil {
		return nil, err
	}
	c.server = server
	return c, nil
}

// Remove unmounts the card, whoever may still hold it.
func (c *Card) Remove() error {
	if err := syscall.Unmount(c.Dir, syscall.MNT_DETACH); err != nil {
		return err
	}
	return nil
}

// Break makes calls fail from now on; nil heals the card.
func (c *Card) Break(f *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.counted, c.hit = f, 0, nil
}

// Hits are the calls that failed since Break.
func (c *Card) Hits() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Call(nil), c.hit...)
}

// Counted is how many calls since Break were of a kind that may fail.
func (c *Card) Counted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counted
}

// do carries a call out, or fails it: then nothing of it has happened. Calls that
// are remembered are carried out one at a time, so that the order of the steps is
// the order in which they happened.
func (c *Card) do(call Call, run func() syscall.Errno, steps ...step) syscall.Errno {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.fails(call); errno != 0 {
		return errno
	}
	errno := run()
	if errno == 0 && c.keep {
		c.steps = append(c.steps, steps...)
	}
	return errno
}

func (c *Card) fails(call Call) syscall.Errno {
	f := c.fault
	if f == nil {
		return 0
	}
	for _, one := range f.Calls {
		if one != call {
			continue
		}
		c.counted++
		if c.counted == f.Nth || f.Stays && c.counted > f.Nth {
			c.hit = append(c.hit, call)
			return f.Errno
		}
	}
	return 0
}

// then adds what is only known after the call.
func (c *Card) then(s step) {
	if c.keep {
		c.steps = append(c.steps, s)
	}
}

// node is a file or directory of the card.
type node struct {
	fs.LoopbackNode
	card *Card
}

const rootID = 1

func idOf(n *fs.Inode) id {
	a := n.StableAttr()
	return id{a.Ino, a.Gen}
}

func (n *node) id() id { return idOf(n.EmbeddedInode()) }

func (n *node) Open(ctx context.Context, flags uint32) (h fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	var s []step
	if flags&syscall.O_TRUNC != 0 {
		s = []step{{kind: resized, file: n.id()}}
	}
	errno = n.card.do(Open, func() (errno syscall.Errno) {
		h, fuseFlags, errno = n.LoopbackNode.Open(ctx, flags)
		return errno
	}, s...)
	return n.card.handle(h, n.id()), fuseFlags, errno
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (child *fs.Inode, h fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	errno = n.card.do(Create, func() (errno syscall.Errno) {
		child, h, fuseFlags, errno = n.LoopbackNode.Create(ctx, name, flags, mode, out)
		if errno == 0 {
			n.card.then(step{kind: entered, dir: n.id(), name: name, file: idOf(child), mode: out.Mode})
		}
		return errno
	})
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return child, n.card.handle(h, idOf(child)), fuseFlags, 0
}

func (n *node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.card.do(Create, func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Mknod(ctx, name, mode, dev, out)
		if errno == 0 {
			n.card.then(step{kind: entered, dir: n.id(), name: name, file: idOf(child), mode: out.Mode})
		}
		return errno
	})
	return child, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (child *fs.Inode, errno syscall.Errno) {
	errno = n.card.do(Mkdir, func() (errno syscall.Errno) {
		child, errno = n.LoopbackNode.Mkdir(ctx, name, mode, out)
		if errno == 0 {
			n.card.then(step{kind: entered, dir: n.id(), name: name, file: idOf(child), mode: out.Mode})
		}
		return errno
	})
	return child, errno
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return n.card.do(Unlink, func() syscall.Errno { return n.LoopbackNode.Unlink(ctx, name) }, step{kind: left, dir: n.id(), name: name})
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	return n.card.do(Mkdir, func() syscall.Errno { return n.LoopbackNode.Rmdir(ctx, name) }, step{kind: left, dir: n.id(), name: name})
}

func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL // nobody here exchanges files
	}
	s := step{kind: renamed, dir: n.id(), name: name, to: idOf(to.EmbeddedInode()), newName: newName}
	return n.card.do(Rename, func() syscall.Errno { return n.LoopbackNode.Rename(ctx, name, to, newName, flags) }, s)
}

// Setattr changes a mode, an owner or times at once and for good: only a size is
// data that can be lost.
func (n *node) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	var s []step
	if size, ok := in.GetSize(); ok {
		s = []step{{kind: resized, file: n.id(), at: int64(size)}}
	}
	if f, ok := h.(*file); ok {
		h = f.LoopbackFile
	}
	return n.card.do(Truncate, func() syscall.Errno { return n.LoopbackNode.Setattr(ctx, h, in, out) }, s...)
}

func (n *node) Getattr(ctx context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if f, ok := h.(*file); ok {
		h = f.LoopbackFile
	}
	return n.LoopbackNode.Getattr(ctx, h, out)
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &directory{h.(listed), n.card, n.id()}, fuseFlags, 0
}

// listed is what a directory's handle does besides syncing.
type listed interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

// directory is an open directory.
type directory struct {
	listed
	card *Card
	id   id
}

func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno {
	return d.card.do(Fsync, func() syscall.Errno { return 0 }, step{kind: synced, file: d.id})
}

func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP // not followed by Survives
}

func (n *node) Link(context.Context, fs.InodeEmbedder, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.ENOTSUP
}

func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOTSUP // the caller then reads and writes
}

// file is an open file.
type file struct {
	*fs.LoopbackFile
	card *Card
	id   id
}

func (c *Card) handle(h fs.FileHandle, of id) fs.FileHandle {
	if f, ok := h.(*fs.LoopbackFile); ok {
		return &file{f, c, of}
	}
	return h
}

// PassthroughFd keeps the kernel from reading and writing past the card.
func (f *file) PassthroughFd() (int, bool) { return 0, false }

func (f *file) Read(ctx context.Context, b []byte, at int64) (result fuse.ReadResult, errno syscall.Errno) {
	errno = f.card.do(Read, func() (errno syscall.Errno) {
		result, errno = f.LoopbackFile.Read(ctx, b, at)
		return errno
	})
	return result, errno
}

func (f *file) Write(ctx context.Context, b []byte, at int64) (n uint32, errno syscall.Errno) {
	errno = f.card.do(Write, func() (errno syscall.Errno) {
		n, errno = f.LoopbackFile.Write(ctx, b, at)
		if errno == 0 {
			f.card.then(step{kind: written, file: f.id, at: at, data: append([]byte(nil), b[:n]...)})
		}
		return errno
	})
	return n, errno
}

func (f *file) Writev(ctx context.Context, list [][]byte, at int64) (n uint32, errno syscall.Errno) {
	for _, b := range list {
		m, errno := f.Write(ctx, b, at+int64(n))
		n += m
		if errno != 0 {
			return n, errno
		}
	}
	return n, 0
}

func (f *file) Fsync(context.Context, uint32) syscall.Errno {
	// The backing directory is memory, or as good: what is durable is what the
	// card says.
	return f.card.do(Fsync, func() syscall.Errno { return 0 }, step{kind: synced, file: f.id})
}

func (f *file) Allocate(context.Context, uint64, uint64, uint32) syscall.Errno {
	return syscall.ENOTSUP // the caller then writes
}

// folders gives a directory for a card and one behind it.
func folders(dir string) (backing, mount string, err error) {
	backing, mount = filepath.Join(dir, "backing"), filepath.Join(dir, "card")
	for _, d := range []string{backing, mount} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", "", err
		}
	}
	return backing, mount, nil
}
