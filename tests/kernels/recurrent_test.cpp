// Short convolution and gated delta rule against double, bits across CPUs and cuts.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tables.h"

namespace lamina::kernels {
namespace {

std::vector<float> RandomRow(int64_t n, uint32_t seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> row(static_cast<size_t>(n));
  for (float& x : row) x = normal(random);
  return row;
}

TEST(Conv, IsNearDoubleAndIndependentOfChunksAndCpu) {
  for (int kernel : {2, 3, 4}) {
    for (int64_t n_channels : {16, 24, 70, 96}) {
      for (bool silu : {false, true}) {
        const int64_t n_tokens = 23;
        const auto x = RandomRow(n_tokens * n_channels, 1),
                   weight = RandomRow(kernel * n_channels, 2);
        const auto bias = RandomRow(n_channels, 3), start = RandomRow((kernel - 1) * n_channels, 4);
        std::vector<double> expected;
        for (int64_t t = 0; t < n_tokens; ++t) {
          for (int64_t c = 0; c < n_channels; ++c) {
            double sum = bias[static_cast<size_t>(c)];
            for (int64_t j = 0; j < kernel; ++j) {
              const int64_t row = t + j - (kernel - 1);
              const float input =
                  row < 0 ? start[static_cast<size_t>((row + kernel - 1) * n_channels + c)]
                          : x[static_cast<size_t>(row * n_channels + c)];
              sum += static_cast<double>(weight[static_cast<size_t>(j * n_channels + c)]) * input;
            }
            expected.push_back(silu ? sum / (1 + std::exp(-sum)) : sum);
          }
        }
        std::vector<float> first_out, first_state;
        for (const Table* table : Tables()) {
          for (int64_t chunk : {1, 2, 5, 23}) {
            auto state = start;
            std::vector<float> out(x.size());
            for (int64_t t = 0; t < n_tokens; t += chunk) {
              // Two calls share the channels, as two threads would.
              for (int64_t channel : {int64_t{0}, int64_t{16}}) {
                ConvArgs a{};
                a.x = x.data() + t * n_channels + channel;
                a.x_stride = a.weight_stride = a.state_stride = a.out_stride = n_channels;
                a.n_tokens = std::min(chunk, n_tokens - t);
                a.n_channels = channel == 0 ? 16 : n_channels - 16;
                a.kernel = kernel;
                a.weight = weight.data() + channel;
                a.bias = bias.data() + channel;
                a.state = state.data() + channel;
                a.silu = silu;
                a.out = out.data() + t * n_channels + channel;
                table->conv(a);
              }
            }
            for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 3e-6);
            if (first_out.empty()) first_out = out, first_state = state;
            ASSERT_EQ(out, first_out) << table->isa << " chunk " << chunk;
            ASSERT_EQ(state, first_state) << table->isa << " chunk " << chunk;
          }
        }
        for (int64_t i = 0; i < (kernel - 1) * n_channels; ++i) {
          ASSERT_EQ(first_state[static_cast<size_t>(i)],
                    x[static_cast<size_t>((n_tokens - kernel + 1) * n_channels + i)]);
        }
      }
    }
  }
}

struct DeltaCase {
  int d_k, d_v;
  int64_t n_tokens;
  std::vector<float> q, k, v, log_decay, beta, state;

  DeltaCase(int key, int value, int64_t n, float decay_spread) : d_k(key), d_v(value), n_tokens(n) {
    q = RandomRow(n * d_k, 1), k = RandomRow(n * d_k, 2), v = RandomRow(n * d_v, 3);
    state = RandomRow(d_k * d_v, 4, 0.3f);
    log_decay = RandomRow(n, 5, decay_spread), beta = RandomRow(n, 6);
    for (float& x : log_decay) x = -std::abs(x);
    for (float& x : beta) x = 1 / (1 + std::exp(-x));
    for (int64_t t = 0; t < n; ++t) {
      Normalise(q.data() + t * d_k, 1 / std::sqrt(static_cast<float>(d_k)));
      Normalise(k.data() + t * d_k, 1);
    }
  }
  void Normalise(float* x, float scale) const {
    float sum = 0;
    for (int i = 0; i < d_k; ++i) sum += x[i] * x[i];
    for (int i = 0; i < d_k; ++i) x[i] *= scale / std::sqrt(sum);
  }

  /// Outputs [n_tokens][d_v]; `final_state` gets S.
  std::vector<double> Reference(std::vector<double>* final_state) const {
    std::vector<double> s(state.begin(), state.end()), out;
    const auto cell = [&](int i, int j) -> double& { return s[static_cast<size_t>(i * d_v + j)]; };
    for (int64_t t = 0; t < n_tokens; ++t) {
      const float* key = k.data() + t * d_k;
      const float* query = q.data() + t * d_k;
      for (double& x : s) x *= std::exp(static_cast<double>(log_decay[static_cast<size_t>(t)]));
      for (int j = 0; j < d_v; ++j) {
        double memory = 0, sum = 0;
        for (int i = 0; i < d_k; ++i) memory += cell(i, j) * key[i];
        const double delta =
            beta[static_cast<size_t>(t)] * (v[static_cast<size_t>(t * d_v + j)] - memory);
        for (int i = 0; i < d_k; ++i) cell(i, j) += key[i] * delta;
        for (int i = 0; i < d_k; ++i) sum += cell(i, j) * query[i];
        out.push_back(sum);
      }
    }
    *final_state = s;
    return out;
  }

  std::vector<float> Run(const Table& table, int64_t chunk, std::vector<float>* final_state) const {
    std::vector<float> s = state, out(static_cast<size_t>(n_tokens * d_v));
    const auto bytes = static_cast<size_t>(DeltaScratchBytes(d_k, d_v));
    auto* scratch = static_cast<uint8_t*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
    scratch[bytes] = 0x5A;
    for (int64_t t = 0; t < n_tokens; t += chunk) {
      DeltaArgs a{};
      a.q = q.data() + t * d_k;
      a.k = k.data() + t * d_k;
      a.v = v.data() + t * d_v;
      a.q_stride = a.k_stride = d_k;
      a.v_stride = a.out_stride = d_v;
      a.log_decay = log_decay.data() + t;
      a.beta = beta.data() + t;
      a.gate_stride = 1;
      a.n_tokens = std::min(chunk, n_tokens - t);
      a.d_k = d_k;
      a.d_v = d_v;
      a.state = s.data();
      a.out = out.data() + t * d_v;
      a.scratch = scratch;
      table.delta(a);
    }
    EXPECT_EQ(scratch[bytes], 0x5A) << "scratch overrun";
    std::free(scratch);
    *final_state = s;
    return out;
  }
};

TEST(Delta, RecurrentAndChunkedAreNearDouble) {
  for (auto [d_k, d_v] : {std::pair{16, 16},
                          {32, 24},
                          {24, 40},
                          {64, 32},
                          {72, 48},
                          {128, 128},
                          {5, 3},
                          {12, 20},
                          {70, 33},
                          {66, 48}}) {
    for (int64_t n_tokens : {1, 3, 31, 32, 64, 65, 200}) {
      for (float spread : {0.02f, 1.0f, 8.0f}) {
        const DeltaCase test(d_k, d_v, n_tokens, spread);
        std::vector<double> expected_state;
        const auto expected = test.Reference(&expected_state);
        for (const Table* table : Tables()) {
          for (int64_t chunk : {int64_t{1}, int64_t{7}, n_tokens}) {
            std::vector<float> state;
            const auto out = test.Run(*table, chunk, &state);
            for (size_t i = 0; i < out.size(); ++i) {
              ASSERT_NEAR(out[i], expected[i], 2e-5)
                  << table->isa << " " << d_k << "x" << d_v << " tokens " << n_tokens << " chunk "
                  << chunk << " decay " << spread << " i " << i;
            }
            for (size_t i = 0; i < state.size(); ++i) {
              ASSERT_NEAR(state[i], expected_state[i], 2e-5)
                  << table->isa << " state, chunk " << chunk;
            }
          }
        }
      }
    }
  }
}

TEST(Delta, ShortStepsGiveTheBitsOfSingleTokensOnEveryCpu) {
  const DeltaCase test(64, 41, 48, 1.0f);
  std::vector<float> expected_state;
  const auto expected = test.Run(*Tables().back(), 1, &expected_state);
  for (const Table* table : Tables()) {
    for (int64_t chunk : {1, 3, 31}) {
      std::vector<float> state;
      ASSERT_EQ(test.Run(*table, chunk, &state), expected) << table->isa << " chunk " << chunk;
      ASSERT_EQ(state, expected_state) << table->isa << " chunk " << chunk;
    }
  }
}

TEST(Delta, EveryCpuGivesTheScalarBitsInChunks) {
  const DeltaCase test(70, 48, 150, 0.5f);
  std::vector<float> expected_state;
  const auto expected = test.Run(*Tables().back(), 150, &expected_state);
  for (const Table* table : Tables()) {
    std::vector<float> state;
    ASSERT_EQ(test.Run(*table, 150, &state), expected) << table->isa;
    ASSERT_EQ(state, expected_state) << table->isa;
    EXPECT_NE(test.Run(*table, 1, &state), expected) << "the chunked form was not taken";
  }
}

}  // namespace
}  // namespace lamina::kernels
