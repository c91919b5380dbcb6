package actors

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

// squeezer is the column.Packer of all sites: Zstandard, without checksums,
// because records have theirs. Safe for concurrent use.
type squeezer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// Bounds of memory: what an encoder looks back, and what a piece may unpack to.
const (
	squeezeWindow   = 1 << 20
	unsqueezeMax    = 128 << 20
	squeezeParallel = 2
)

func newSqueezer() *squeezer {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(squeezeParallel),
		zstd.WithWindowSize(squeezeWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		panic("options of zstd: " + err.Error())
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(unsqueezeMax))
	if err != nil {
		panic("options of zstd: " + err.Error())
	}
	return &squeezer{enc, dec}
}

var errSize = errors.New("compressed piece of another size")

// Pack implements column.Packer.
func (s *squeezer) Pack(dst, src []byte) []byte { return s.enc.EncodeAll(src, dst) }

// Unpack implements column.Packer.
func (s *squeezer) Unpack(dst, src []byte, n int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	if !h.HasFCS || h.FrameContentSize != uint64(n) { // before anything is made room for
		return nil, errSize
	}
	return s.dec.DecodeAll(src, dst)
}
