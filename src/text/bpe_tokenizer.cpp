#include "text/bpe_tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "text/end_of_generation.h"
#include "text/unicode.h"

namespace lamina::text {
namespace {

/// Pieces that came before in the same text; their ids are copied instead of merged again.
class PieceCache {
 public:
  struct Entry {
    std::string_view piece;
    uint32_t first_id;
    uint32_t n_ids;
  };

  explicit PieceCache(size_t text_bytes) {
    size_t n_entries = 256;
    while (n_entries < kMaxEntries && n_entries < text_bytes / 16) n_entries *= 2;
    entries_.resize(n_entries);
  }
  Entry& At(std::string_view piece) {
    return entries_[HashBytes(seed_, piece) & (entries_.size() - 1)];
  }

 private:
  static constexpr size_t kMaxEntries = 1 << 16;
  std::vector<Entry> entries_;
  const HashSeed seed_ = HashSeed::OfProcess();
};

/// Whether there is a space mark directly before `pos`.
bool EndsInMark(std::string_view text, size_t pos) {
  return pos >= kSpaceMark.size() &&
         text.substr(pos - kSpaceMark.size(), kSpaceMark.size()) == kSpaceMark;
}

constexpr size_t kMinTextToCache = 1024;  // bytes; below, the cache costs more than it saves
constexpr size_t kMaxPieceToCache = 64;   // bytes

}  // namespace

/// One call of EncodeSpans.
class BpeTokenizer::Encoding {
 public:
  Encoding(const BpeTokenizer& tokenizer, std::vector<TokenId>& ids)
      : t_(tokenizer), parts_(tokenizer.parts_), ids_(ids) {}

  void Run(std::string_view text, std::span<const TextSpan> special) {
    size_t done = 0;
    t_.added_.FindAll(text, special, [&](const AddedTokens::Match& match) {
      EncodeRaw(text.substr(done, match.begin - done), done == 0);
      ids_.push_back(match.id);
      done = match.end;
    });
    EncodeRaw(text.substr(done), done == 0);
  }

 private:
  /// Text without the added tokens that are found in it as it is.
  void EncodeRaw(std::string_view text, bool first) {
    if (text.empty()) return;
    if (parts_.normalizer.empty()) {
      EncodeNormalized(text, first);
      return;
    }
    const std::string normalized = parts_.normalizer.Run(text, first);
    EncodeNormalized(normalized, first);
  }

  void EncodeNormalized(std::string_view text, bool first) {
    size_t done = 0;
    // Special tokens are found in the text as it is, before it is normalized.
    t_.added_normalized_.FindAll(text, {}, [&](const AddedTokens::Match& match) {
      EncodeText(text.substr(done, match.begin - done), first && done == 0);
      ids_.push_back(match.id);
      done = match.end;
    });
    EncodeText(text.substr(done), first && done == 0);
  }

  /// Text without any added tokens.
  void EncodeText(std::string_view text, bool first) {
    if (text.empty()) return;
    std::string rewritten;
    if (!parts_.rewriter.empty()) {
      rewritten = parts_.rewriter.Run(text, first);
      text = rewritten;
    }
    if (text.size() >= kMinTextToCache) cache_.emplace(text.size());
    Split(text, first, 0);
    cache_.reset();  // its pieces point into this text
  }

  void Split(std::string_view text, bool first, size_t step) {
    if (text.empty()) return;
    if (step == parts_.splitters.size()) {
      EncodePiece(text);
      return;
    }
    parts_.splitters[step]->Split(text, first, [&](std::string_view piece) {
      Split(piece, first && piece.data() == text.data(), step + 1);
    });
  }

  void EncodePiece(std::string_view piece) {
    last_is_unknown_ = false;
    if (parts_.ignore_merges) {
      if (const TokenId id = parts_.vocabulary->FindText(piece); id >= 0) {
        ids_.push_back(id);
        return;
      }
    }
    if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) {
      EncodeCached(piece);
      return;
    }
    // No token reaches over the border between most characters and a space mark, so the words of a
    // text are independent.
    size_t begin = 0;
    for (size_t pos = 0;;) {
      const size_t mark = piece.find(kSpaceMark, pos);
      if (mark == std::string_view::npos) break;
      pos = mark + kSpaceMark.size();
      if (mark == begin || EndsInMark(piece, mark) ||
          t_.joins_mark_[static_cast<uint8_t>(piece[mark - 1])]) {
        continue;
      }
      EncodeCached(piece.substr(begin, mark - begin));
      begin = mark;
    }
    EncodeCached(piece.substr(begin));
  }

  void EncodeCached(std::string_view piece) {
    if (!cache_ || piece.size() > kMaxPieceToCache) {
      Merge(piece);
      return;
    }
    PieceCache::Entry& entry = cache_->At(piece);
    // Behind an unknown token a piece may leave one out, so its ids are not everybody's.
    if (last_is_unknown_) {
      Merge(piece);
      return;
    }
    if (entry.piece == piece) {
      const size_t n_ids = ids_.size();
      ids_.resize(n_ids + entry.n_ids);
      std::copy_n(ids_.begin() + entry.first_id, entry.n_ids, ids_.begin() + n_ids);
      last_is_unknown_ = entry.n_ids > 0 && ids_.back() == parts_.unknown;
      return;
    }
    const size_t first_id = ids_.size();
    Merge(piece);
    entry = {piece, static_cast<uint32_t>(first_id), static_cast<uint32_t>(ids_.size() - first_id)};
  }

  void Merge(std::string_view piece) {
    symbols_.clear();
    if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) {
      for (size_t i = 0; i < piece.size(); ++i) {
        const TokenId id = parts_.byte_tokens.id[static_cast<uint8_t>(piece[i])];
        symbols_.push_back({id, static_cast<uint32_t>(i), 1});
      }
    } else {
      for (size_t i = 0; i < piece.size();) {
        const uint32_t n_bytes = DecodeUtf8(piece, i).n_bytes;
        const TokenId id = parts_.vocabulary->FindText(piece.substr(i, n_bytes));
        symbols_.push_back({id, static_cast<uint32_t>(i), n_bytes});
        i += n_bytes;
      }
    }
    if (symbols_.size() > 1) parts_.merges->Run(piece, symbols_);
    for (const Symbol& symbol : symbols_) {
      if (symbol.id >= 0 && symbol.id < t_.n_vocab()) {
        Push(symbol.id);
      } else {
        PushBytes(piece.substr(symbol.begin, symbol.n_bytes));
      }
    }
  }

  void Push(TokenId id) {
    ids_.push_back(id);
    last_is_unknown_ = false;
  }

  /// What has no token.
  void PushBytes(std::string_view bytes) {
    const auto id_of = [&](char c) { return parts_.byte_tokens.id[static_cast<uint8_t>(c)]; };
    if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) {
      for (const char c : bytes) {
        if (id_of(c) >= 0) {
          Push(id_of(c));
        } else {
          PushUnknown();
        }
      }
      return;
    }
    for (size_t i = 0; i < bytes.size();) {
      const std::string_view c = bytes.substr(i, DecodeUtf8(bytes, i).n_bytes);
      i += c.size();
      if (std::all_of(c.begin(), c.end(), [&](char byte) { return id_of(byte) >= 0; })) {
        for (const char byte : c) Push(id_of(byte));
      } else {
        PushUnknown();
      }
    }
  }

  void PushUnknown() {
    if (parts_.unknown < 0 || (parts_.fuse_unknown && last_is_unknown_)) return;
    ids_.push_back(parts_.unknown);
    last_is_unknown_ = true;
  }

  const BpeTokenizer& t_;
  const TokenizerParts& parts_;
  std::vector<TokenId>& ids_;
  std::vector<Symbol> symbols_;
  std::optional<PieceCache> cache_;
  bool last_is_unknown_ = false;
};

std::string MarkSpaces(std::string_view text) {
  std::string marked;
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked.push_back(c);
    }
  }
  return marked;
}

BpeTokenizer::BpeTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
  n_vocab_ = parts_.vocabulary->n_tokens();
  bos_ = parts_.bos;
  eos_ = parts_.eos;
  adds_bos_ = parts_.adds_bos && bos_ >= 0;
  eog_ = EndOfGeneration(*parts_.vocabulary, eos_, parts_.end_of_generation);
  CollectSpecialTokens();
  added_ = AddedTokens(std::move(parts_.added));
  added_normalized_ = AddedTokens(std::move(parts_.added_normalized));
  FindJoinedBytes();
}

void BpeTokenizer::CollectSpecialTokens() {
  is_control_.assign(n_vocab_, false);
  for (TokenId id = 0; id < n_vocab_; ++id) {
    const TokenType type = parts_.vocabulary->type(id);
    is_control_[id] = type == TokenType::kControl || type == TokenType::kUnknown;
  }
  for (const AddedToken& token : parts_.added) {
    if (token.special) special_tokens_.push_back(token.text);
  }
}

void BpeTokenizer::FindJoinedBytes() {
  const auto look = [this](std::string_view token) {
    for (size_t pos = 1; (pos = token.find(kSpaceMark, pos)) != std::string_view::npos; ++pos) {
      if (!EndsInMark(token, pos)) joins_mark_[static_cast<uint8_t>(token[pos - 1])] = true;
    }
  };
  if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) return;
  for (TokenId id = 0; id < n_vocab_; ++id) look(parts_.vocabulary->bytes(id));
  for (const std::string& token : parts_.absent) look(token);
}

std::vector<TokenId> BpeTokenizer::Encode(std::string_view text,
                                          const EncodeOptions& options) const {
  const TextSpan all = {0, text.size()};
  return EncodeSpans(text, {&all, options.parse_special ? 1u : 0u}, options.add_bos);
}

std::vector<TokenId> BpeTokenizer::EncodeSpans(std::string_view text,
                                               std::span<const TextSpan> special,
                                               bool add_bos) const {
  std::vector<TokenId> ids;
  if (add_bos && adds_bos_) ids.push_back(bos_);
  if (IsValidUtf8(text)) {
    Encoding(*this, ids).Run(text, special);
    return ids;
  }
  std::string valid;
  std::vector<TextSpan> spans;
  size_t done = 0;
  for (const TextSpan& span : special) {
    valid += ReplaceInvalidUtf8(text.substr(done, span.begin - done));
    const size_t begin = valid.size();
    valid += ReplaceInvalidUtf8(text.substr(span.begin, span.end - span.begin));
    spans.push_back({begin, valid.size()});
    done = span.end;
  }
  valid += ReplaceInvalidUtf8(text.substr(done));
  Encoding(*this, ids).Run(valid, spans);
  return ids;
}

std::string BpeTokenizer::TokenBytes(TokenId id, bool special) const {
  if (id < 0 || id >= n_vocab_) return "";
  const std::string_view bytes = parts_.vocabulary->bytes(id);
  if (is_control_[id]) return special ? std::string(bytes) : "";
  if (parts_.alphabet == TokenizerParts::Alphabet::kBytes) return std::string(bytes);
  std::string result;
  for (size_t pos = 0; pos < bytes.size();) {
    const bool mark = bytes.substr(pos, kSpaceMark.size()) == kSpaceMark;
    result.push_back(mark ? ' ' : bytes[pos]);
    pos += mark ? kSpaceMark.size() : 1;
  }
  return result;
}

TokenId BpeTokenizer::Find(std::string_view token) const {
  const TokenId id = parts_.vocabulary->FindAny(token);
  if (id >= 0 || parts_.alphabet == TokenizerParts::Alphabet::kBytes) return id;
  return parts_.vocabulary->FindAny(MarkSpaces(token));
}

}  // namespace lamina::text
