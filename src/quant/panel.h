// Panels: 16 rows of a matrix, permuted so that a vector lane is a row and loads are 64-byte
// aligned. Only bits are moved, so packing loses nothing, and the order is the same on every CPU.
//
// Weights of a block of 32: k-step s (0..7) covers k = 4s..4s+3. A plane of 64 bytes holds for row
// r, at bytes 4r..4r+3, one field per byte c:
//   nibbles  4 planes i: low nibble k = 4i + c, high nibble k = 16 + 4i + c
//   2 bits   2 planes h: bits 2j..2j+1 hold k = 16h + 4j + c
//   1 bit    1 plane: bit s holds k = 4s + c
//   bytes    8 planes s
#pragma once

#include <stdint.h>

#include "quant/bits.h"
#include "quant/unroll.h"

namespace lamina::quant {

constexpr int kRows = 16;  // rows per panel; type.h repeats it for its readers
/// Of types whose unsigned weights are used as they are.
constexpr int kNoBias = -1;

/// 32 weights of one row as plain numbers: w[k] = scale[k / 16] * (Weight(u[k]) - bias) + min[k /
/// 16].
struct Weights32 {
  uint8_t u[32];
  float scale[2];
  float min[2];
};

struct NibblePlanes {
  static constexpr int kBytes = 256;
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::template Field < kStep < 4 ? 0 : 4, 15 > (S::LoadBytes(planes + 64 * (kStep & 3)));
  }
  static LAMINA_INLINE void Put(const uint8_t* u, int row, uint8_t* planes) {
    for (int i = 0; i < 4; ++i) {
      const uint32_t dword = (ReadAs<uint32_t>(u + 4 * i) & 0x0F0F0F0F) |
                             (ReadAs<uint32_t>(u + 16 + 4 * i) & 0x0F0F0F0F) << 4;
      __builtin_memcpy(planes + 64 * i + 4 * row, &dword, 4);
    }
  }
};

/// Two bits of each weight, taken from bit kFrom on; loaded back to bit kFrom.
template <int kFrom>
struct TwoBitPlanes {
  static constexpr int kBytes = 128;
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::template Field<2 * (kStep & 3) - kFrom, 3 << kFrom>(
        S::LoadBytes(planes + 64 * (kStep >> 2)));
  }
  static LAMINA_INLINE void Put(const uint8_t* u, int row, uint8_t* planes) {
    for (int h = 0; h < 2; ++h) {
      uint32_t dword = 0;
      for (int j = 0; j < 4; ++j)
        dword |= (ReadAs<uint32_t>(u + 16 * h + 4 * j) >> kFrom & 0x03030303) << (2 * j);
      __builtin_memcpy(planes + 64 * h + 4 * row, &dword, 4);
    }
  }
};

template <int kFrom>
struct OneBitPlane {
  static constexpr int kBytes = 64;
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::template Field<kStep - kFrom, 1 << kFrom>(S::LoadBytes(planes));
  }
  static LAMINA_INLINE void Put(const uint8_t* u, int row, uint8_t* planes) {
    uint32_t dword = 0;
    for (int s = 0; s < 8; ++s) dword |= (ReadAs<uint32_t>(u + 4 * s) >> kFrom & 0x01010101) << s;
    __builtin_memcpy(planes + 4 * row, &dword, 4);
  }
};

struct BytePlanes {
  static constexpr int kBytes = 512;
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::LoadBytes(planes + 64 * kStep);
  }
  static LAMINA_INLINE void Put(const uint8_t* u, int row, uint8_t* planes) {
    for (int s = 0; s < 8; ++s) __builtin_memcpy(planes + 64 * s + 4 * row, u + 4 * s, 4);
  }
};

/// Low bits in one set of planes, the bits above in another.
template <class Low, class High>
struct JoinedPlanes {
  static constexpr int kBytes = Low::kBytes + High::kBytes;
  template <class S, int kStep>
  static LAMINA_INLINE typename S::U8 Load(const uint8_t* planes) {
    return S::Or(Low::template Load<S, kStep>(planes),
                 High::template Load<S, kStep>(planes + Low::kBytes));
  }
  static LAMINA_INLINE void Put(const uint8_t* u, int row, uint8_t* planes) {
    Low::Put(u, row, planes);
    High::Put(u, row, planes + Low::kBytes);
  }
};

using Bits2 = TwoBitPlanes<0>;
using Bits3 = JoinedPlanes<TwoBitPlanes<0>, OneBitPlane<2>>;
using Bits4 = NibblePlanes;
using Bits5 = JoinedPlanes<NibblePlanes, OneBitPlane<4>>;
using Bits6 = JoinedPlanes<NibblePlanes, TwoBitPlanes<4>>;
using Bits8 = BytePlanes;

/// 16 scales of 2 bytes, one per row.
LAMINA_INLINE void PutU16(uint16_t value, int row, uint8_t* scales) {
  __builtin_memcpy(scales + 2 * row, &value, 2);
}
LAMINA_INLINE void PutU32(uint32_t value, int row, uint8_t* scales) {
  __builtin_memcpy(scales + 4 * row, &value, 4);
}

/// Where things lie in a panel of a type with 32 weights per block: pairs of blocks
/// [scales of b0 | of b1, padded to 64][weights of b0][of b1]; a lone last block has 64 bytes of
/// scales. kScaleBytes is what one block's scales take: 32 (a scale per row) or 64 (and a minimum).
template <class Planes, int kScaleBytes>
struct PairedBlocks {
  static constexpr int kBlocksPerGroup = 1;
  static constexpr bool kHasTail = false;
  static constexpr int kPairScaleBytes = kScaleBytes == 32 ? 64 : 128;
  static constexpr int kPairBytes = kPairScaleBytes + 2 * Planes::kBytes;

  static LAMINA_INLINE int64_t PanelBytes(int64_t n_blocks) {
    return n_blocks / 2 * kPairBytes + (n_blocks % 2 ? 64 + Planes::kBytes : 0);
  }
  static LAMINA_INLINE int64_t ScaleOffset(int64_t block) {
    return block / 2 * kPairBytes + block % 2 * kScaleBytes;
  }
  static LAMINA_INLINE int64_t WeightOffset(int64_t block, int64_t n_blocks) {
    const bool lone = block + 1 == n_blocks && block % 2 == 0;
    return block / 2 * kPairBytes + (lone ? 64 : kPairScaleBytes) + block % 2 * Planes::kBytes;
  }
};

/// Where things lie in a panel of a type with 256 weights per block: kScaleBytes of scales, then
/// the weights of 8 blocks of 32; kTailBytes per 256 are collected at the panel's end, where they
/// do not break the alignment of the rest.
template <class Planes, int kScaleBytes, int kTailBytes = 0>
struct SuperBlocks {
  static constexpr int kBlocksPerGroup = 8;
  static constexpr bool kHasTail = kTailBytes > 0;
  static constexpr int kSuperBytes = kScaleBytes + 8 * Planes::kBytes;

  static LAMINA_INLINE int64_t PanelBytes(int64_t n_blocks) {
    return (n_blocks / 8 * (kSuperBytes + kTailBytes) + 63) / 64 * 64;
  }
  static LAMINA_INLINE int64_t ScaleOffset(int64_t block) { return block / 8 * kSuperBytes; }
  static LAMINA_INLINE int64_t TailOffset(int64_t block, int64_t n_blocks) {
    return n_blocks / 8 * kSuperBytes + block / 8 * kTailBytes;
  }
  static LAMINA_INLINE int64_t WeightOffset(int64_t block, int64_t) {
    return block / 8 * kSuperBytes + kScaleBytes + block % 8 * Planes::kBytes;
  }
};

}  // namespace lamina::quant
