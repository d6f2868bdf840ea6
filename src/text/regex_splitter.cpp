#include "text/regex_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <vector>

#include "format/quote.h"
#include "text/unicode.h"

namespace lamina::text {
namespace {

struct Section {
  size_t begin;
  size_t end;
  bool is_match;
};

/// Turns matches (ascending, disjoint) of a text into pieces.
class PieceMaker {
 public:
  PieceMaker(SplitBehavior behavior, bool invert) : behavior_(behavior), invert_(invert) {}

  void Emit(std::string_view text, const std::vector<Section>& matches, EmitPiece emit) const {
    std::vector<Section> sections;
    size_t done = 0;
    for (const Section& match : matches) {
      if (match.begin > done) sections.push_back({done, match.begin, invert_});
      sections.push_back({match.begin, match.end, !invert_});
      done = match.end;
    }
    if (done < text.size()) sections.push_back({done, text.size(), invert_});
    for (const Section& piece : Join(sections)) {
      if (piece.end > piece.begin) emit(text.substr(piece.begin, piece.end - piece.begin));
    }
  }

 private:
  std::vector<Section> Join(const std::vector<Section>& sections) const {
    std::vector<Section> pieces;
    switch (behavior_) {
      case SplitBehavior::kIsolated:
        return sections;
      case SplitBehavior::kRemoved:
        for (const Section& s : sections) {
          if (!s.is_match) pieces.push_back(s);
        }
        return pieces;
      case SplitBehavior::kContiguous:
        for (const Section& s : sections) {
          if (!pieces.empty() && pieces.back().is_match == s.is_match) {
            pieces.back().end = s.end;
          } else {
            pieces.push_back(s);
          }
        }
        return pieces;
      case SplitBehavior::kMergedWithPrevious: {
        bool previous_is_match = false;
        for (const Section& s : sections) {
          if (s.is_match && !previous_is_match && !pieces.empty()) {
            pieces.back().end = s.end;
          } else {
            pieces.push_back(s);
          }
          previous_is_match = s.is_match;
        }
        return pieces;
      }
      case SplitBehavior::kMergedWithNext: {
        bool next_is_match = false;
        for (auto s = sections.rbegin(); s != sections.rend(); ++s) {
          if (s->is_match && !next_is_match && !pieces.empty()) {
            pieces.back().begin = s->begin;
          } else {
            pieces.push_back(*s);
          }
          next_is_match = s->is_match;
        }
        std::reverse(pieces.begin(), pieces.end());
        return pieces;
      }
    }
    return pieces;
  }

  SplitBehavior behavior_;
  bool invert_;
};

class LiteralSplitter final : public Splitter {
 public:
  LiteralSplitter(std::string literal, SplitBehavior behavior, bool invert)
      : literal_(std::move(literal)), maker_(behavior, invert) {}
  void Split(std::string_view text, bool, EmitPiece emit) const override {
    std::vector<Section> matches;
    for (size_t pos = 0; !literal_.empty();) {
      const size_t hit = text.find(literal_, pos);
      if (hit == std::string_view::npos) break;
      pos = hit + literal_.size();
      matches.push_back({hit, pos, true});
    }
    maker_.Emit(text, matches, emit);
  }

 private:
  std::string literal_;
  PieceMaker maker_;
};

class DigitSplitter final : public Splitter {
 public:
  explicit DigitSplitter(bool individual)
      : maker_(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false) {}
  void Split(std::string_view text, bool, EmitPiece emit) const override {
    std::vector<Section> matches;
    for (size_t pos = 0; pos < text.size();) {
      const Utf8Char c = DecodeUtf8(text, pos);
      if (ClassOf(c.code_point) == CharClass::kNumber) {
        matches.push_back({pos, pos + c.n_bytes, true});
      }
      pos += c.n_bytes;
    }
    maker_.Emit(text, matches, emit);
  }

 private:
  PieceMaker maker_;
};

constexpr uint32_t kMaxSteps = 1'000'000;  // of one match
constexpr uint32_t kMaxDepth = 100'000;
constexpr uint32_t kMaxHeapKib = 16 * 1024;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Code8 = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using Context8 = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData8 = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

class RegexSplitter final : public Splitter {
 public:
  RegexSplitter(Code8 code, Context8 context, SplitBehavior behavior, bool invert)
      : code_(std::move(code)), context_(std::move(context)), maker_(behavior, invert) {}

  void Split(std::string_view text, bool, EmitPiece emit) const override {
    const MatchData8 data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    std::vector<Section> matches;
    for (size_t pos = 0; data && pos < text.size();) {
      // No match, or one that takes too long: what is left is one piece.
      if (pcre2_match(code_.get(), subject, text.size(), pos, PCRE2_NO_UTF_CHECK, data.get(),
                      context_.get()) <= 0) {
        break;
      }
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
      if (range[0] < pos || range[1] < range[0]) break;  // \K moved the beginning
      matches.push_back({range[0], range[1], true});
      pos = range[1];
      if (range[1] == range[0] && pos < text.size()) pos += DecodeUtf8(text, pos).n_bytes;
    }
    maker_.Emit(text, matches, emit);
  }

 private:
  Code8 code_;
  Context8 context_;
  PieceMaker maker_;
};

}  // namespace

std::unique_ptr<const Splitter> MakeLiteralSplitter(std::string literal, SplitBehavior behavior,
                                                    bool invert) {
  return std::make_unique<LiteralSplitter>(std::move(literal), behavior, invert);
}

std::unique_ptr<const Splitter> MakeDigitSplitter(bool individual_digits) {
  return std::make_unique<DigitSplitter>(individual_digits);
}

Result<std::unique_ptr<const Splitter>> MakeRegexSplitter(const std::string& pattern,
                                                          SplitBehavior behavior, bool invert) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code8 code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                           PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                           nullptr));
  if (!code) {
    PCRE2_UCHAR message[128] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return Error(Code::kInvalidArgument, "the pattern {} does not compile at {}: {}",
                 format::Quote(pattern), offset, reinterpret_cast<const char*>(message));
  }
  Context8 context(pcre2_match_context_create(nullptr));
  if (!context) return Error(Code::kResourceExhausted, "no memory for a pattern");
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_depth_limit(context.get(), kMaxDepth);
  pcre2_set_heap_limit(context.get(), kMaxHeapKib);
  return std::make_unique<RegexSplitter>(std::move(code), std::move(context), behavior, invert);
}

}  // namespace lamina::text
