// Row operations: every CPU's bits equal the scalar table's, and the scalar table is near double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "tables.h"

namespace lamina::kernels {
namespace {

using Row = std::vector<float>;

std::vector<int64_t> Lengths() {
  std::vector<int64_t> lengths;
  for (int64_t n = 1; n <= 70; ++n) lengths.push_back(n);
  for (int64_t n : {96, 128, 256, 576, 640, 1024, 1536, 2049, 5000}) lengths.push_back(n);
  return lengths;
}

Row RandomRow(int64_t n, uint32_t seed, float spread = 2.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  Row row(static_cast<size_t>(n));
  for (float& x : row) x = normal(random);
  return row;
}

const Table& Scalar() { return *Tables().back(); }

void ExpectSameBits(const Row& a, const Row& b, const char* isa, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    uint32_t x, y;
    std::memcpy(&x, &a[i], 4);
    std::memcpy(&y, &b[i], 4);
    ASSERT_EQ(x, y) << isa << " " << what << " n=" << a.size() << " i=" << i << ": " << a[i]
                    << " and " << b[i];
  }
}

/// A row operation of two inputs with what it means in double.
struct Operation {
  const char* name;
  std::function<void(const VectorKernels&, const Row&, const Row&, Row&)> run;
  std::function<std::vector<double>(const Row&, const Row&)> meaning;
  double tolerance;  ///< Of |error| / (|expected| + absolute).
  double absolute = 1e-30;
};

template <class F>
auto Each(F f) {
  return [f](const Row& a, const Row& b) {
    std::vector<double> out(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      out[i] = f(static_cast<double>(a[i]), static_cast<double>(b[i]));
    }
    return out;
  };
}
auto Normed(bool weighted, bool mean, double eps) {
  return [=](const Row& a, const Row& b) {
    double sum = 0;
    for (float x : a) sum += static_cast<double>(x) * x;
    if (mean) sum /= static_cast<double>(a.size());
    std::vector<double> out(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      out[i] = a[i] / std::sqrt(sum + eps) * (weighted ? b[i] : 1.0);
    }
    return out;
  };
}
double Gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

std::vector<Operation> Operations() {
  using V = const VectorKernels&;
  using R = const Row&;
  const auto n = [](R a) { return static_cast<int64_t>(a.size()); };
  return {
      {"add", [=](V v, R a, R b, Row& o) { v.add(a.data(), b.data(), n(a), o.data()); },
       Each([](double a, double b) { return a + b; }), 1e-7},
      {"mul", [=](V v, R a, R b, Row& o) { v.mul(a.data(), b.data(), n(a), o.data()); },
       Each([](double a, double b) { return a * b; }), 1e-7},
      {"scale", [=](V v, R a, R, Row& o) { v.scale(a.data(), 0.7f, n(a), o.data()); },
       Each([](double a, double) { return a * 0.7f; }), 1e-7},
      {"axpy",
       [=](V v, R a, R b, Row& o) {
         o = b;
         v.axpy(0.7f, a.data(), n(a), o.data());
       },
       Each([](double a, double b) { return 0.7f * a + b; }), 1e-7},
      {"rms_norm",
       [=](V v, R a, R b, Row& o) { v.rms_norm(a.data(), b.data(), 1e-5f, n(a), o.data()); },
       Normed(true, true, 1e-5f), 1e-6},
      {"rms_norm without weight",
       [=](V v, R a, R, Row& o) { v.rms_norm(a.data(), nullptr, 1e-6f, n(a), o.data()); },
       Normed(false, true, 1e-6f), 1e-6},
      {"l2_norm", [=](V v, R a, R, Row& o) { v.l2_norm(a.data(), 1e-6f, n(a), o.data()); },
       Normed(false, false, 1e-6f), 1e-6},
      {"silu_mul", [=](V v, R a, R b, Row& o) { v.silu_mul(a.data(), b.data(), n(a), o.data()); },
       Each([](double a, double b) { return a / (1 + std::exp(-a)) * b; }), 4e-7},
      {"silu", [=](V v, R a, R, Row& o) { v.silu_mul(a.data(), nullptr, n(a), o.data()); },
       Each([](double a, double) { return a / (1 + std::exp(-a)); }), 4e-7},
      {"gelu_mul", [=](V v, R a, R b, Row& o) { v.gelu_mul(a.data(), b.data(), n(a), o.data()); },
       // For negative x the exponent's own rounding is amplified by its size.
       Each([](double a, double b) { return Gelu(a) * b; }), 4e-6, 1e-6},
      {"sigmoid_mul",
       [=](V v, R a, R b, Row& o) { v.sigmoid_mul(a.data(), b.data(), n(a), o.data()); },
       Each([](double a, double b) { return b / (1 + std::exp(-a)); }), 4e-7},
      {"softplus", [=](V v, R a, R, Row& o) { v.softplus(a.data(), n(a), o.data()); },
       Each([](double a, double) { return std::max(a, 0.0) + std::log1p(std::exp(-std::abs(a))); }),
       4e-7},
      {"softcap", [=](V v, R a, R, Row& o) { v.softcap(a.data(), 5.0f, n(a), o.data()); },
       Each([](double a, double) { return 5 * std::tanh(a / 5); }), 5e-7},
      {"softmax", [=](V v, R a, R, Row& o) { v.softmax(a.data(), n(a), o.data()); },
       [](R a, R) {
         double max = -1e300, sum = 0;
         for (float x : a) max = std::max<double>(max, x);
         std::vector<double> out;
         for (float x : a) out.push_back(std::exp(x - max)), sum += out.back();
         for (double& x : out) x /= sum;
         return out;
       },
       4e-6},  // of e^(x - max) the rounding of the difference is amplified by its size
  };
}

TEST(Vector, EveryOperationIsNearDoubleOnEveryCpu) {
  for (const Operation& operation : Operations()) {
    for (int64_t n : Lengths()) {
      for (float spread : {0.05f, 2.0f, 12.0f}) {
        const Row a = RandomRow(n, static_cast<uint32_t>(n), spread);
        const Row b = RandomRow(n, static_cast<uint32_t>(n) + 1000);
        Row expected(a.size());
        operation.run(Scalar().vector, a, b, expected);
        const std::vector<double> meaning = operation.meaning(a, b);
        for (size_t i = 0; i < a.size(); ++i) {
          const double sum_part =
              operation.name == std::string("add") || operation.name == std::string("axpy")
                  ? std::abs(a[i]) + std::abs(b[i])
                  : std::abs(meaning[i]);
          ASSERT_LE(std::abs(expected[i] - meaning[i]),
                    operation.tolerance * (sum_part + operation.absolute))
              << operation.name << " n=" << n << " x=" << a[i] << " expected " << meaning[i];
        }
        for (const Table* table : Tables()) {
          Row out(a.size());
          operation.run(table->vector, a, b, out);
          ExpectSameBits(expected, out, table->isa, operation.name);
        }
      }
    }
  }
}

TEST(Vector, OperationsWorkInPlace) {
  for (const Table* table : Tables()) {
    for (const Operation& operation : Operations()) {
      if (operation.name == std::string("axpy")) continue;
      const Row a = RandomRow(75, 1), b = RandomRow(75, 2);
      Row expected(a.size()), in_place = a;
      operation.run(table->vector, a, b, expected);
      operation.run(table->vector, in_place, b, in_place);
      ExpectSameBits(expected, in_place, table->isa, operation.name);
    }
  }
}

TEST(Vector, GatesSurviveExtremes) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Row extreme = {0.0f,   -0.0f, 1e-38f, 30.0f, -30.0f, 88.5f,
                       -88.5f, 1e4f,  -1e4f,  3e38f, -3e38f};
  for (const Table* table : Tables()) {
    const auto n = static_cast<int64_t>(extreme.size());
    Row out(extreme.size());
    table->vector.silu_mul(extreme.data(), nullptr, n, out.data());
    for (size_t i = 0; i < extreme.size(); ++i) {
      EXPECT_NEAR(out[i], extreme[i] > 0 ? extreme[i] / (1 + std::exp(-extreme[i])) : 0.0,
                  1e-6 * std::abs(extreme[i]) + 1e-10)
          << table->isa << " " << extreme[i];
    }
    table->vector.softcap(extreme.data(), 2.0f, n, out.data());
    for (size_t i = 0; i < extreme.size(); ++i) {
      EXPECT_NEAR(out[i], 2 * std::tanh(extreme[i] / 2), 1e-6) << table->isa << " " << extreme[i];
    }
    Row nan = {std::nanf(""), 1.0f, infinity};
    for (auto f : {table->vector.silu_mul, table->vector.gelu_mul, table->vector.sigmoid_mul}) {
      f(nan.data(), nullptr, 1, out.data());
      EXPECT_TRUE(std::isnan(out[0])) << table->isa;
    }
    table->vector.softplus(nan.data(), 1, out.data());
    EXPECT_TRUE(std::isnan(out[0])) << table->isa;
    table->vector.softmax(nan.data(), 2, out.data());
    EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1])) << table->isa;
  }
}

TEST(Vector, RmsNormAddsInTheDocumentedOrder) {
  // 4 partial sums of 8 lanes, 16 rounds apart, two left-over vectors and a tail, written out.
  const int64_t n = 32 * 18 + 2 * 8 + 5;
  const Row x = RandomRow(n, 7);
  const auto square = [&x](int64_t i) {
    return x[static_cast<size_t>(i)] * x[static_cast<size_t>(i)];
  };
  float sum = 0;
  for (int64_t i = n - 5; i < n; ++i) sum += square(i);
  for (int64_t lane = 0; lane < 8; ++lane) {
    float partial[4];
    for (int64_t j = 0; j < 4; ++j) {
      float first = 0, rest = 0;
      for (int64_t round = 0; round < 16; ++round) first += square(32 * round + 8 * j + lane);
      for (int64_t round = 16; round < 18; ++round) rest += square(32 * round + 8 * j + lane);
      if (j == 0) rest = (rest + square(576 + lane)) + square(584 + lane);
      partial[j] = rest + first;
    }
    sum += ((partial[0] + partial[1]) + partial[2]) + partial[3];
  }
  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + 1e-6f);
  Row expected;
  for (float v : x) expected.push_back(v * factor);
  for (const Table* table : Tables()) {
    Row out(x.size());
    table->vector.rms_norm(x.data(), nullptr, 1e-6f, n, out.data());
    ExpectSameBits(expected, out, table->isa, "rms_norm");
  }
}

TEST(Vector, QuantizeRowRoundsHalfToEvenAndLeavesTheResidual) {
  for (const Table* table : Tables()) {
    for (int64_t n : Lengths()) {
      Row x = RandomRow(n, static_cast<uint32_t>(n) + 5);
      x[0] = 127.0f;  // scale 1 in the first block, so halves are exact
      if (n > 4) x[1] = 2.5f, x[2] = 3.5f, x[3] = -0.5f, x[4] = -1.5f;
      for (size_t i = 5; i < x.size() && i < 32; ++i) x[i] = std::fmod(x[i], 3.0f);
      const auto n_blocks = static_cast<size_t>((n + 31) / 32);
      std::vector<ActBlock> blocks(n_blocks), expected(n_blocks);
      Row residual(x.size()), expected_residual(x.size());
      table->vector.quantize_row(x.data(), n, blocks.data(), residual.data());
      Scalar().vector.quantize_row(x.data(), n, expected.data(), expected_residual.data());
      ASSERT_EQ(std::memcmp(blocks.data(), expected.data(), n_blocks * sizeof(ActBlock)), 0)
          << table->isa << " n=" << n;
      ExpectSameBits(expected_residual, residual, table->isa, "residual");
      for (size_t i = 0; i < 32 * n_blocks; ++i) {
        const ActBlock& block = blocks[i / 32];
        const double value = i < x.size() ? x[i] : 0.0;
        const double rest = value - static_cast<double>(block.scale) * block.q[i % 32];
        ASSERT_LE(std::abs(rest), block.scale * 0.5001) << n << " " << i;
        if (i < x.size()) {
          ASSERT_NEAR(residual[i], rest, 1e-6);
        }
      }
      for (const ActBlock& block : blocks) {
        int sum[2] = {};
        for (int i = 0; i < 32; ++i) sum[i / 16] += block.q[i];
        ASSERT_EQ(block.neg_sum16[0], -sum[0]);
        ASSERT_EQ(block.neg_sum16[1], -sum[1]);
        ASSERT_EQ(block.neg_sum, -sum[0] - sum[1]);
        ASSERT_EQ(block.scale_sum, block.scale * static_cast<float>(sum[0] + sum[1]));
      }
      if (n > 4) {
        EXPECT_EQ(blocks[0].q[1], 2);
        EXPECT_EQ(blocks[0].q[2], 4);
        EXPECT_EQ(blocks[0].q[3], 0);
        EXPECT_EQ(blocks[0].q[4], -2);
      }
    }
    ActBlock block;
    const Row zeros(32, 0.0f), tiny(32, 1e-38f);
    table->vector.quantize_row(zeros.data(), 32, &block, nullptr);
    EXPECT_EQ(block.scale, 0.0f);
    table->vector.quantize_row(tiny.data(), 32, &block, nullptr);
    EXPECT_EQ(block.q[0], 0);
  }
}

TEST(Vector, RopeRotatesPairs) {
  for (const Table* table : Tables()) {
    for (int n_rot : {2, 8, 10, 32, 64, 80, 128}) {
      const Row x = RandomRow(n_rot, 3);
      Row cos, sin;
      for (int i = 0; i < n_rot / 2; ++i) {
        cos.push_back(std::cos(0.3f * static_cast<float>(i)));
        sin.push_back(std::sin(0.3f * static_cast<float>(i)));
      }
      for (bool adjacent : {false, true}) {
        Row out = x, expected = x;
        table->vector.rope(out.data(), cos.data(), sin.data(), n_rot, adjacent);
        Scalar().vector.rope(expected.data(), cos.data(), sin.data(), n_rot, adjacent);
        ExpectSameBits(expected, out, table->isa, "rope");
        for (int i = 0; i < n_rot / 2; ++i) {
          const auto first = static_cast<size_t>(adjacent ? 2 * i : i);
          const auto second = static_cast<size_t>(adjacent ? 2 * i + 1 : i + n_rot / 2);
          const auto angle = static_cast<size_t>(i);
          EXPECT_NEAR(out[first], x[first] * cos[angle] - x[second] * sin[angle], 1e-5);
          EXPECT_NEAR(out[second], x[second] * cos[angle] + x[first] * sin[angle], 1e-5);
        }
      }
    }
  }
}

TEST(Vector, ArgmaxIsTheFirstMaximum) {
  for (const Table* table : Tables()) {
    for (int64_t n : Lengths()) {
      Row x = RandomRow(n, static_cast<uint32_t>(n));
      int64_t expected = 0;
      for (int64_t i = 1; i < n; ++i) {
        if (x[static_cast<size_t>(i)] > x[static_cast<size_t>(expected)]) expected = i;
      }
      EXPECT_EQ(table->vector.argmax(x.data(), n), expected) << table->isa << " n=" << n;
      x.back() = x[static_cast<size_t>(expected)];
      EXPECT_EQ(table->vector.argmax(x.data(), n), expected) << table->isa << " n=" << n;
      if (n > 2) {
        x[static_cast<size_t>(n / 2)] = std::nanf("");
        x[0] = 1e9f;
        EXPECT_EQ(table->vector.argmax(x.data(), n), 0) << table->isa << " n=" << n;
      }
    }
    const Row low(40, -std::numeric_limits<float>::infinity());
    EXPECT_EQ(table->vector.argmax(low.data(), 40), 0);
  }
}

}  // namespace
}  // namespace lamina::kernels
