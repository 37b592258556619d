package mirror

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// A chunk is compressed as a whole, because documents of one shop resemble each
// other. Before compression it is, for each document: its slot (its id less the
// chunk's), the length of the body, the body.
const (
	chunkDocuments = 64
	chunkBytes     = 256 << 10
	chunkMost      = 64 << 20 // a body larger than this is damage
)

// newPacker makes the coder pair for a small box: one core, a small window.
func newPacker() (*zstd.Encoder, *zstd.Decoder, error) {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start compression: %w", err)
	}
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(chunkMost))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start decompression: %w", err)
	}
	return packer, unpacker, nil
}

func appendBody(plain []byte, slot int, raw []byte) []byte {
	plain = binary.AppendUvarint(plain, uint64(slot))
	plain = binary.AppendUvarint(plain, uint64(len(raw)))
	return append(plain, raw...)
}

var errChunk = errors.New("damaged chunk of documents")

// bodies calls fn with the slot and body of every document in a chunk.
func (m *Mirror) bodies(packed []byte, fn func(slot int, raw []byte)) error {
	plain, err := m.unpacker.DecodeAll(packed, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errChunk, err)
	}
	for len(plain) > 0 {
		slot, n := binary.Uvarint(plain)
		if n <= 0 {
			return errChunk
		}
		length, k := binary.Uvarint(plain[n:])
		if k <= 0 || length > uint64(len(plain)-n-k) {
			return errChunk
		}
		plain = plain[n+k:]
		fn(int(slot), plain[:length:length])
		plain = plain[length:]
	}
	return nil
}

// pick returns the chunk with only the documents in the slots that keep names,
// under the slots it gives them; nil when none is left.
func (m *Mirror) pick(packed []byte, keep map[int]int) ([]byte, error) {
	var plain []byte
	err := m.bodies(packed, func(slot int, raw []byte) {
		if to, ok := keep[slot]; ok {
			plain = appendBody(plain, to, raw)
		}
	})
	if err != nil || plain == nil {
		return nil, err
	}
	return m.packer.EncodeAll(plain, nil), nil
}

// Raw returns the exact body of a document as it was received; ErrNotFound when
// the document is not here or has none.
func (m *Mirror) Raw(ctx context.Context, id string) ([]byte, error) {
	var key, chunk int64
	var packed []byte
	err := m.db.Read().QueryRowContext(ctx, `SELECT d.id, r.id, r.body FROM document d
		JOIN raw r ON r.id = (SELECT max(id) FROM raw WHERE id <= d.id)
		WHERE d.key = ?`, documentKey(id)).Scan(&key, &chunk, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("document %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read document %s: %w", id, err)
	}
	var body []byte
	err = m.bodies(packed, func(slot int, raw []byte) {
		if int64(slot) == key-chunk {
			body = raw
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read document %s: %w", id, err)
	}
	if body == nil {
		return nil, fmt.Errorf("body of document %s: %w", id, ErrNotFound)
	}
	return body, nil
}
