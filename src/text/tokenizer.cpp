#include "text/tokenizer.h"

#include "text/bpe_tokenizer.h"
#include "text/loaders.h"
#include "text/unicode.h"

namespace lamina::text {

Result<std::unique_ptr<const Tokenizer>> Tokenizer::Create(const format::ModelSource& source) {
  TokenizerParts parts = source.kind() == format::ModelSource::Kind::kGguf
                             ? TRY(PartsFromGguf(source.metadata()))
                             : TRY(PartsFromFolder(source.path()));
  return std::make_unique<const BpeTokenizer>(std::move(parts));
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  for (const TokenId id : ids) text += TokenBytes(id, special);
  if (DropsLeadingSpace() && !text.empty() && text[0] == ' ') text.erase(0, 1);
  return text;
}

bool Tokenizer::IsEndOfGeneration(TokenId id) const {
  for (const TokenId end : eog_) {
    if (end == id) return true;
  }
  return false;
}

bool Tokenizer::IsControl(TokenId id) const { return id >= 0 && id < n_vocab_ && is_control_[id]; }

std::string Detokenizer::Push(TokenId id) {
  std::string bytes = tokenizer_.TokenBytes(id);
  if (bytes.empty()) return "";
  if (at_start_ && tokenizer_.DropsLeadingSpace() && bytes[0] == ' ') bytes.erase(0, 1);
  at_start_ = false;
  pending_ += bytes;
  const size_t n_complete = pending_.size() - UnfinishedUtf8Bytes(pending_);
  std::string text = ReplaceInvalidUtf8(std::string_view(pending_).substr(0, n_complete));
  pending_.erase(0, n_complete);
  return text;
}

std::string Detokenizer::Finish() {
  std::string text = ReplaceInvalidUtf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace lamina::text
