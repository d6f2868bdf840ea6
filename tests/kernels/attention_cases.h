// Caches, queries and shapes that the tests of attention share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/table.h"

namespace lamina::kernels {

struct Shape {
  int n_group, d_head, d_value;
  int64_t n_positions;  ///< Stored, the rows of the call included.
  int64_t window;
  float softcap;
  int page_tokens = 32;
};

/// A filled cache of one KV head, kept three ways: as pages, and as what the pages represent.
class Cache {
 public:
  Cache(const Table& table, const Shape& shape, KvType type) : shape_(shape), type_(type) {
    std::mt19937 random(static_cast<uint32_t>(shape.n_positions + shape.d_head));
    std::normal_distribution<float> normal;
    const int64_t n_pages = (shape.n_positions + shape.page_tokens - 1) / shape.page_tokens;
    const auto fill = [&](int d, std::vector<std::vector<uint8_t>>& pages,
                          std::vector<const void*>& pointers, std::vector<float>& rows, bool keys) {
      for (int64_t page = 0; page < n_pages; ++page) {
        // 0xFF is NaN in every float type: nothing beyond what was stored may leak into results.
        pages.emplace_back(static_cast<size_t>(shape.page_tokens * KvRowBytes(type, d)), 0xFF);
      }
      for (auto& page : pages) pointers.push_back(page.data());
      for (int64_t i = 0; i < shape.n_positions; ++i) {
        std::vector<float> row(static_cast<size_t>(d));
        for (float& x : row) x = normal(random);
        void* page = pages[static_cast<size_t>(i / shape.page_tokens)].data();
        const int64_t slot = i % shape.page_tokens;
        (keys ? table.vector.store_key : table.vector.store_value)(row.data(), type, d, page, slot);
        rows.insert(rows.end(), row.begin(), row.end());
      }
    };
    fill(shape.d_head, k_bytes_, k_pages_, keys_, true);
    fill(shape.d_value, v_bytes_, v_pages_, values_, false);
    queries_.resize(static_cast<size_t>(shape.n_positions * shape.n_group * shape.d_head));
    for (float& x : queries_) x = normal(random);
  }

  /// Rows [first, first + n_tokens) by `table`, heads [head, head + n_heads), [token][head][d].
  std::vector<float> Run(const Table& table, int64_t first, int64_t n_tokens, int head, int n_heads,
                         bool may_round = false) const {
    const Shape& s = shape_;
    std::vector<float> out(static_cast<size_t>(n_tokens * n_heads * s.d_value), -7.0f);
    const auto bytes =
        static_cast<size_t>(AttentionScratchBytes(n_tokens, n_heads, s.d_head, s.d_value));
    auto* scratch = static_cast<uint8_t*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
    std::memset(scratch, 0xFF, bytes + 1);
    scratch[bytes] = 0x5A;
    AttentionArgs a{};
    a.q = queries_.data() + (first * s.n_group + head) * s.d_head;
    a.q_token_stride = static_cast<int64_t>(s.n_group) * s.d_head;
    a.q_stride = s.d_head;
    a.n_tokens = n_tokens;
    a.n_group = n_heads;
    a.d_head = s.d_head;
    a.d_value = s.d_value;
    a.kv_type = type_;
    a.page_tokens = s.page_tokens;
    a.k_pages = k_pages_.data();
    a.v_pages = v_pages_.data();
    a.position = first;
    a.window = s.window;
    a.scale = Scale();
    a.softcap = s.softcap;
    a.may_round = may_round;
    a.out = out.data();
    a.out_token_stride = static_cast<int64_t>(n_heads) * s.d_value;
    a.out_stride = s.d_value;
    a.scratch = scratch;
    table.attention(a);
    EXPECT_EQ(scratch[bytes], 0x5A) << "scratch overrun";
    std::free(scratch);
    return out;
  }

  /// The same in double over the values as stored (read back by a row of a one-position softmax
  /// would hide errors of layout: the originals are rounded here instead).
  /// to_bf16: queries, keys and values rounded once more.
  std::vector<double> Reference(int64_t token, int head, bool to_bf16 = false) const {
    const Shape& s = shape_;
    const auto operands = [to_bf16](std::vector<float> row) {
      for (float& x : row) x = to_bf16 ? RoundToBits(x, 7) : x;
      return row;
    };
    const auto q_begin = queries_.begin() + (token * s.n_group + head) * s.d_head;
    const std::vector<float> q = operands({q_begin, q_begin + s.d_head});
    const int64_t begin = s.window > 0 ? std::max<int64_t>(0, token + 1 - s.window) : 0;
    std::vector<double> scores;
    double max = -1e300, sum = 0;
    for (int64_t p = begin; p <= token; ++p) {
      const std::vector<float> key = operands(Stored(keys_, s.d_head, p));
      double score = 0;
      for (int i = 0; i < s.d_head; ++i)
        score += static_cast<double>(q[static_cast<size_t>(i)]) * key[static_cast<size_t>(i)];
      score *= Scale();
      if (s.softcap > 0) score = s.softcap * std::tanh(score / s.softcap);
      scores.push_back(score);
      max = std::max(max, score);
    }
    std::vector<double> out(static_cast<size_t>(s.d_value));
    for (double& score : scores) sum += score = std::exp(score - max);
    for (int64_t p = begin; p <= token; ++p) {
      const std::vector<float> value = operands(Stored(values_, s.d_value, p));
      for (size_t i = 0; i < out.size(); ++i) {
        out[i] += scores[static_cast<size_t>(p - begin)] / sum * value[i];
      }
    }
    return out;
  }

 private:
  float Scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.d_head)); }

  static float RoundToBits(float x, int mantissa_bits) {
    int exponent;
    const float fraction = std::frexp(x, &exponent);
    const float steps = std::ldexp(1.0f, mantissa_bits + 1);
    return std::ldexp(std::nearbyint(fraction * steps) / steps, exponent);
  }

  std::vector<float> Stored(const std::vector<float>& rows, int d, int64_t position) const {
    std::vector<float> row(rows.begin() + position * d, rows.begin() + (position + 1) * d);
    if (type_ == KvType::kF16)
      for (float& x : row)
        x = std::abs(x) < 0x1p-14f ? std::nearbyint(x * 0x1p24f) * 0x1p-24f : RoundToBits(x, 10);
    if (type_ == KvType::kBf16)
      for (float& x : row) x = RoundToBits(x, 7);
    if (type_ == KvType::kQ8_0) {
      for (size_t block = 0; block < row.size(); block += 32) {
        const size_t end = std::min(row.size(), block + 32);
        float max = 0;
        for (size_t i = block; i < end; ++i) max = std::max(max, std::abs(row[i]));
        const float scale = RoundToBits(max * (1.0f / 127.0f), 10);
        for (size_t i = block; i < end; ++i) {
          row[i] = std::clamp(std::nearbyint(row[i] * (1.0f / scale)), -127.0f, 127.0f) * scale;
        }
      }
    }
    return row;
  }

  Shape shape_;
  KvType type_;
  std::vector<std::vector<uint8_t>> k_bytes_, v_bytes_;
  std::vector<const void*> k_pages_, v_pages_;
  std::vector<float> keys_, values_, queries_;
};

inline constexpr KvType kTypes[] = {KvType::kF32, KvType::kF16, KvType::kBf16, KvType::kQ8_0};

inline std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (int64_t n : {1, 2, 15, 16, 17, 33, 127, 128, 129, 200, 300}) {
    shapes.push_back({3, 64, 64, n, 0, 0});
  }
  for (int group : {1, 2, 4, 5, 6, 7, 8, 9, 16}) shapes.push_back({group, 64, 64, 150, 0, 0});
  for (int d : {1, 4, 7, 12, 16, 20, 24, 33, 36, 40, 72, 80, 90, 96, 112, 128, 256, 512}) {
    shapes.push_back({2, d, d, 140, 0, 0});
  }
  shapes.push_back({2, 64, 32, 140, 0, 0});
  shapes.push_back({2, 32, 72, 140, 0, 0});
  shapes.push_back({3, 12, 20, 140, 9, 0});
  shapes.push_back({5, 36, 7, 140, 0, 2.0f});
  for (int64_t window : {1, 7, 16, 100, 129, 1000}) shapes.push_back({3, 32, 32, 280, window, 0});
  shapes.push_back({2, 64, 64, 200, 0, 1.5f});
  shapes.push_back({4, 64, 64, 200, 50, 50.0f});
  for (int page : {16, 48, 128, 256}) shapes.push_back({3, 32, 32, 300, 60, 0, page});
  return shapes;
}

inline std::string Name(const Shape& s, KvType type, const Table& table) {
  return std::string(table.isa) + " type " + std::to_string(static_cast<int>(type)) + " group " +
         std::to_string(s.n_group) + " d " + std::to_string(s.d_head) + "/" +
         std::to_string(s.d_value) + " positions " + std::to_string(s.n_positions) + " window " +
         std::to_string(s.window) + " page " + std::to_string(s.page_tokens);
}

}  // namespace lamina::kernels
