// Every truncation, every substitution of a few bytes, many random ones, files made to take much
// memory, and allocations that fail: always a clean error or a valid result, within the bound.
#include <gtest/gtest.h>

#include <random>

#include "byte_builder.h"
#include "counting_new.h"
#include "format/gguf.h"
#include "format/gguf_writer.h"
#include "format/json.h"
#include "format/safetensors.h"

namespace lamina::format {
namespace {

constexpr uint8_t kSubstitutes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

int64_t MemoryBound(size_t n_file_bytes) {
  return (int64_t{32} << 20) + 8 * static_cast<int64_t>(n_file_bytes);
}

// About 8 KiB with every value type, several tensors, a vocabulary.
std::string GgufSeed() {
  GgufWriter writer;
  writer.Set("general.architecture", std::string("llama"));
  writer.Set("general.alignment", uint64_t{32});
  writer.Set("llama.block_count", uint64_t{2});
  writer.Set("a.bool", true);
  writer.Set("a.int", int64_t{-3});
  writer.Set("a.float", 1e-5);
  writer.Set("a.bools", std::vector<bool>{true, false, true});
  writer.Set("a.floats", std::vector<double>{0.5, 1.5, 2.5});
  std::vector<std::string> tokens;
  for (int i = 0; i < 256; ++i) tokens.push_back("token" + std::to_string(i));
  writer.Set("tokenizer.ggml.tokens", tokens);
  writer.Set("tokenizer.ggml.token_type", std::vector<int64_t>(256, 1));
  for (int i = 0; i < 8; ++i) {
    writer.AddTensor("blk." + std::to_string(i), *quant::FindType(i % 2 ? "F32" : "Q8_0"), {2, 32});
  }
  std::string file = *writer.Header();
  file.append(4 * (96 + 256), '\x3c');
  return file;
}

std::string SafetensorsSeed() {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  for (int i = 0; i < 48; ++i) {
    header +=
        fmt::format(R"(,"layers.{}.weight":{{"dtype":"{}","shape":[2,{}],"data_offsets":[{},{}]}})",
                    i, i % 2 ? "F32" : "BF16", i % 2 ? 8 : 16, i * 64, i * 64 + 64);
  }
  return SafetensorsFile(header + "}", 48 * 64);
}

std::string IndexSeed() {
  std::string text = R"({"metadata":{"total_size":1},"weight_map":{"x":"m-1.safetensors")";
  for (int i = 0; i < 40; ++i) text += fmt::format(R"(,"layers.{}":"m-{}.safetensors")", i, i % 3);
  return text + "}}";
}

// Parses; whatever is accepted must lie within the bytes. True if accepted.
bool ParseGgufBytes(std::string_view bytes) {
  const auto file = ParseGguf(AsBytes(bytes));
  if (!file) {
    EXPECT_FALSE(file.error().message().empty());
    return false;
  }
  for (const Tensor& tensor : file->tensors) {
    EXPECT_LE(tensor.offset + tensor.data.size(), bytes.size());
  }
  return true;
}

bool ParseSafetensorsBytes(std::string_view bytes) {
  const auto tensors = ParseSafetensors(AsBytes(bytes));
  if (!tensors) {
    EXPECT_FALSE(tensors.error().message().empty());
    return false;
  }
  for (const Tensor& tensor : *tensors) {
    EXPECT_LE(tensor.offset + tensor.data.size(), bytes.size());
  }
  return true;
}

bool ParseIndexBytes(std::string_view bytes) { return ParseShardIndex(bytes).has_value(); }

struct Format {
  const char* name;
  bool (*parse)(std::string_view bytes);
  std::string (*seed)();
};

class HostileBytes : public testing::TestWithParam<Format> {
 protected:
  // Parses a copy of exactly this length on the heap, so that a sanitizer sees a read past it.
  bool ParseBounded(std::string_view bytes) {
    const std::vector<char> copy(bytes.begin(), bytes.end());
    ResetPeak();
    const bool is_accepted = GetParam().parse({copy.data(), copy.size()});
    EXPECT_LE(PeakBytes(), MemoryBound(bytes.size()));
    return is_accepted;
  }
  const std::string seed_ = GetParam().seed();
};

TEST_P(HostileBytes, SeedIsAccepted) { EXPECT_TRUE(ParseBounded(seed_)); }

// P06.
TEST_P(HostileBytes, EveryTruncationIsRefused) {
  for (size_t n_bytes = 0; n_bytes < seed_.size(); ++n_bytes) {
    EXPECT_FALSE(ParseBounded(std::string_view(seed_).substr(0, n_bytes))) << n_bytes;
  }
}

TEST_P(HostileBytes, EverySubstitutionEndsCleanly) {
  int n_refused = 0;
  std::string bytes = seed_;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const uint8_t substitute : kSubstitutes) {
      bytes[i] = static_cast<char>(substitute);
      n_refused += !ParseBounded(bytes);
    }
    bytes[i] = seed_[i];
  }
  EXPECT_GT(n_refused, 500);
}

TEST_P(HostileBytes, RandomDamageEndsCleanly) {
  std::mt19937 random(20240229);
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  for (int run = 0; run < 20000; ++run) {
    std::string bytes = seed_;
    for (size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
      const size_t at = below(bytes.size());
      const size_t n = 1 + below(16);
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, n);
          break;
        case 2:
          bytes.insert(at, seed_.substr(below(seed_.size()), n));
          break;
        default:
          for (size_t i = at; i < std::min(at + 8, bytes.size()); ++i) {
            bytes[i] = static_cast<char>(kSubstitutes[below(5)]);
          }
      }
    }
    ParseBounded(bytes);
  }
}

// The k-th allocation fails, once or from then on, for every k until the parse gets by.
TEST_P(HostileBytes, FailingAllocationsEndCleanly) {
  for (const bool forever : {false, true}) {
    bool has_failed = true;
    for (int64_t k = 0; has_failed; ++k) {
      FailAllocation(k, forever);
      const bool is_accepted = GetParam().parse(seed_);
      has_failed = StopFailing();
      ASSERT_EQ(is_accepted, !has_failed) << k;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, HostileBytes,
                         testing::Values(Format{"Gguf", ParseGgufBytes, GgufSeed},
                                         Format{"Safetensors", ParseSafetensorsBytes,
                                                SafetensorsSeed},
                                         Format{"ShardIndex", ParseIndexBytes, IndexSeed}),
                         [](const auto& info) { return info.param.name; });

// Valid files with the most memory per byte of each kind of content, far above the fixed part.
TEST(MemoryBound, HoldsForTheGreediestContent) {
  const auto expect_bounded = [](std::string_view bytes, auto parse, std::string_view what) {
    ResetPeak();
    EXPECT_TRUE(parse(bytes)) << what;
    EXPECT_LE(PeakBytes(), MemoryBound(bytes.size())) << what << ", " << bytes.size() << " bytes";
  };
  constexpr uint64_t kCount = 8 << 20;
  using Type = GgufValueType;
  for (const Type type : {Type::kUint8, Type::kInt8, Type::kBool, Type::kFloat32, Type::kString}) {
    ByteBuilder file;
    const size_t bytes_each = type == Type::kString ? 8 : type == Type::kFloat32 ? 4 : 1;
    file.GgufHeader(0, 1).Key("k", Type::kArray).Number(static_cast<uint32_t>(type));
    file.Number(kCount).Zeros(kCount * bytes_each);
    expect_bounded(file.str(), ParseGgufBytes, "array");
  }
  ByteBuilder keys;
  constexpr uint32_t kKeys = 500000;
  keys.GgufHeader(0, kKeys);
  for (uint32_t i = 0; i < kKeys; ++i) {
    keys.Number<uint64_t>(3).Raw({reinterpret_cast<const char*>(&i), 3});
    keys.Number<uint32_t>(7).Number<uint8_t>(1);
  }
  expect_bounded(keys.str(), ParseGgufBytes, "keys");
  ByteBuilder rows;
  rows.GgufHeader(kKeys, 0);
  for (uint32_t i = 0; i < kKeys; ++i) {
    rows.TensorRow({reinterpret_cast<const char*>(&i), 3}, {1}, 0, uint64_t{i} * 32);
  }
  rows.PadTo(32).Zeros(size_t{kKeys} * 32);
  expect_bounded(rows.str(), ParseGgufBytes, "tensors");

  std::string header = "{";
  std::string index = R"({"weight_map":{)";
  for (uint32_t i = 0; i < 300000; ++i) {
    header += fmt::format(R"({}"{:x}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}})",
                          i ? "," : "", i, i * 4, i * 4 + 4);
    index += fmt::format(R"({}"{:x}":"{:x}")", i ? "," : "", i, i);
  }
  expect_bounded(SafetensorsFile(header + "}", 300000 * 4), ParseSafetensorsBytes, "safetensors");
  expect_bounded(index + "}}", ParseIndexBytes, "index");
  expect_bounded(
      SafetensorsFile(R"({"__metadata__":{"k":")" + std::string(60 << 20, 'x') + R"("}})", 0),
      ParseSafetensorsBytes, "long string");
}

}  // namespace
}  // namespace lamina::format
