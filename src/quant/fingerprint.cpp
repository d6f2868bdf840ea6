#include "quant/fingerprint.h"

#include <iterator>
#include <vector>

#include "base/checksum.h"

namespace lamina::quant {
namespace {

// Three blocks of 256; and an odd number of blocks of 32, of which the last has no partner.
constexpr int64_t kProbeCols[] = {768, 96};
// Of 16: the others are padding, as in the last panel of a matrix.
constexpr int kProbeRows = 13;

uint64_t ProbeChecksum(const TypeInfo& type, int64_t n_cols) {
  const int64_t row_bytes = n_cols / type.block_values * type.block_bytes;
  std::vector<uint8_t> blocks(static_cast<size_t>(kProbeRows * row_bytes));
  uint64_t state = 1;
  for (uint8_t& byte : blocks) {
    state = state * 6364136223846793005 + 1442695040888963407;  // Knuth's MMIX generator.
    byte = static_cast<uint8_t>(state >> 56);
  }
  const uint8_t* rows[kPanelRows] = {};
  for (int i = 0; i < kProbeRows; ++i) rows[i] = blocks.data() + i * row_bytes;
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> panel(static_cast<size_t>(type.panel_bytes(n_cols)) / sizeof(Line));
  type.pack_panel(rows, n_cols, panel[0].bytes);
  return Checksum({panel[0].bytes, panel.size() * sizeof(Line)});
}

}  // namespace

uint64_t PackingFingerprint(const TypeInfo& type) {
  uint64_t sums[std::size(kProbeCols)] = {};
  for (size_t i = 0; i < std::size(kProbeCols); ++i) {
    if (kProbeCols[i] % type.block_values == 0) sums[i] = ProbeChecksum(type, kProbeCols[i]);
  }
  return Checksum({reinterpret_cast<const uint8_t*>(sums), sizeof sums});
}

}  // namespace lamina::quant
