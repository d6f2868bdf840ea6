// A tokenizer of special tokens alone, for tests of templates.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace lamina::text_bridge {

/// Ids 0..n-1 are the special tokens, all control; n + byte is a byte of plain text.
class FakeTokenizer : public text::Tokenizer {
 public:
  /// `bos` and `eos` must be among the special tokens, or "" for none.
  FakeTokenizer(std::vector<std::string> special, const std::string& bos, const std::string& eos,
                const std::vector<std::string>& not_control = {}) {
    special_tokens_ = std::move(special);
    n_vocab_ = static_cast<int32_t>(special_tokens_.size()) + 256;
    is_control_.assign(n_vocab_, false);
    for (size_t t = 0; t < special_tokens_.size(); ++t) {
      is_control_[t] = std::find(not_control.begin(), not_control.end(), special_tokens_[t]) ==
                       not_control.end();
    }
    bos_ = Find(bos);
    eos_ = Find(eos);
  }

  /// Special tokens leftmost first, the longest where several begin.
  std::vector<text::TokenId> Encode(std::string_view text,
                                    const text::EncodeOptions& options) const override {
    std::vector<text::TokenId> ids;
    for (size_t at = 0; at < text.size();) {
      int best = -1;
      for (size_t t = 0; options.parse_special && t < special_tokens_.size(); ++t) {
        const std::string& token = special_tokens_[t];
        if (text.compare(at, token.size(), token) == 0 &&
            (best < 0 || token.size() > special_tokens_[best].size())) {
          best = static_cast<int>(t);
        }
      }
      ids.push_back(best >= 0 ? best : NumSpecial() + static_cast<unsigned char>(text[at]));
      at += best >= 0 ? special_tokens_[best].size() : 1;
    }
    return ids;
  }

  std::vector<text::TokenId> EncodeSpans(std::string_view text,
                                         std::span<const text::TextSpan> special,
                                         bool) const override {
    std::vector<text::TokenId> ids;
    size_t at = 0;
    const auto append = [&](size_t end, bool parse_special) {
      const auto part = Encode(text.substr(at, end - at), {.parse_special = parse_special});
      ids.insert(ids.end(), part.begin(), part.end());
      at = end;
    };
    for (const auto& span : special) {
      append(span.begin, false);
      append(span.end, true);
    }
    append(text.size(), false);
    return ids;
  }

  std::string TokenBytes(text::TokenId id, bool special) const override {
    if (id >= NumSpecial()) return std::string(1, static_cast<char>(id - NumSpecial()));
    return special ? special_tokens_[id] : "";
  }

  text::TokenId Find(std::string_view token) const override {
    const auto found = std::find(special_tokens_.begin(), special_tokens_.end(), token);
    return found == special_tokens_.end()
               ? -1
               : static_cast<text::TokenId>(found - special_tokens_.begin());
  }

  int32_t NumSpecial() const { return static_cast<int32_t>(special_tokens_.size()); }
};

}  // namespace lamina::text_bridge
