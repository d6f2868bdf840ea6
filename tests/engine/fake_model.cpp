#include "fake_model.h"

#include <algorithm>
#include <limits>

#include "engine/random.h"

namespace lamina::engine {
namespace {

class FakeSequence : public model::Sequence {
 public:
  FakeSequence(const FakeModelOptions& options, int64_t* n_sequences)
      : options_(options), n_sequences_(n_sequences) {
    ++*n_sequences_;
  }
  ~FakeSequence() override { --*n_sequences_; }

  int64_t n_tokens() const override { return std::ssize(ids); }
  Result<> Truncate(int64_t n) override {
    if (!options_.can_truncate) return Error(Code::kFailedPrecondition, "recurrent");
    ids.resize(static_cast<size_t>(n));
    return {};
  }
  void Checkpoint() override { checkpoint = std::ssize(ids); }
  int64_t Rewind(int64_t n) override {
    n = std::min(n, std::ssize(ids));
    // As recurrent state: back to the checkpoint, else to nothing.
    if (!options_.can_truncate && n < std::ssize(ids)) n = checkpoint <= n ? checkpoint : 0;
    ids.resize(static_cast<size_t>(n));
    return n;
  }
  int64_t Room() const override {
    const bool is_short = options_.original_context > 0 && !long_factors;
    return (is_short ? options_.original_context : options_.max_context) - std::ssize(ids);
  }
  void Clear() override {
    ids.clear();
    checkpoint = 0;
  }
  bool Announce(int64_t n_total) override {
    const bool wanted = options_.original_context > 0 && n_total > options_.original_context;
    if (wanted == long_factors) return false;
    long_factors = wanted;
    const bool had_state = !ids.empty();
    ids.clear();
    return had_state;
  }
  uint64_t bytes() const override { return ids.size(); }

  std::vector<int32_t> ids;
  int64_t checkpoint = 0;
  bool long_factors = false;

 private:
  const FakeModelOptions& options_;
  int64_t* n_sequences_;
};

}  // namespace

FakeModel::FakeModel(const FakeModelOptions& options) : options_(options) {
  spec_.n_vocab = kFakeVocab;
  spec_.max_context = options.max_context;
  spec_.layers.resize(1);
  if (!options.can_truncate) spec_.layers[0].mixer = model::Mixer::kShortConv;
}

int32_t FakeModel::Next(std::span<const int32_t> ids, bool long_factors) {
  uint64_t hash = long_factors ? 99 : 1;
  for (int32_t id : ids) hash = hash * 1000003 + static_cast<uint64_t>(id) + 1;
  const uint64_t random = Random(hash).Next();
  return random % 40 == 0 ? kFakeEnd : 'a' + static_cast<int32_t>(random % 26);
}

Result<std::unique_ptr<model::Sequence>> FakeModel::NewSequence() const {
  if (n_sequences >= options_.most_sequences) return Error(Code::kResourceExhausted, "no memory");
  return std::make_unique<FakeSequence>(options_, &n_sequences);
}

Result<> FakeModel::Forward(ThreadPool&, std::span<const model::StepPart> parts, float* logits,
                            const std::atomic<bool>* cancel) const {
  steps.emplace_back();
  for (const auto& part : parts) steps.back().n_rows.push_back(std::ssize(part.ids));
  if (on_forward) on_forward();
  if (cancel && *cancel) return Error(Code::kCancelled, "cancelled");
  for (const auto& part : parts) {
    if (std::count(part.ids.begin(), part.ids.end(), options_.poison) > 0) {
      return Error(Code::kInternal, "poisoned");
    }
  }
  for (const auto& part : parts) {
    auto& sequence = static_cast<FakeSequence&>(*part.sequence);
    const auto first_wanted = std::ssize(part.ids) - part.n_logits;
    for (int64_t i = 0; i < std::ssize(part.ids); ++i) {
      sequence.ids.push_back(part.ids[static_cast<size_t>(i)]);
      if (i < first_wanted) continue;
      std::fill(logits, logits + kFakeVocab, 0.0f);
      const std::span<const int32_t> all = sequence.ids;
      const size_t n_seen = options_.memory > 0
                                ? std::min(static_cast<size_t>(options_.memory), all.size())
                                : all.size();
      logits[Next(all.last(n_seen), sequence.long_factors)] = 5;
      if (sequence.ids.back() == options_.nan) {
        logits[3] = std::numeric_limits<float>::quiet_NaN();
      }
      logits += kFakeVocab;
    }
  }
  return {};
}

FakeTokenizer::FakeTokenizer() {
  n_vocab_ = kFakeVocab;
  eos_ = kFakeEnd;
  eog_ = {kFakeEnd};
  bos_ = kFakeBegin;
  is_control_.resize(kFakeVocab);
}

std::vector<int32_t> FakeTokenizer::Encode(std::string_view text,
                                           const text::EncodeOptions&) const {
  std::vector<int32_t> ids;
  for (char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

std::string FakeTokenizer::TokenBytes(int32_t id, bool) const {
  return id < 256 ? std::string(1, static_cast<char>(id)) : "";
}

std::vector<int32_t> ExpectedAnswer(std::vector<int32_t> prompt, int64_t max_tokens,
                                    int64_t original_context) {
  std::vector<int32_t> answer;
  while (std::ssize(answer) < max_tokens) {
    const bool long_factors = original_context > 0 && std::ssize(prompt) > original_context;
    const int32_t next = FakeModel::Next(prompt, long_factors);
    if (next == kFakeEnd) break;
    answer.push_back(next);
    prompt.push_back(next);
  }
  return answer;
}

}  // namespace lamina::engine
