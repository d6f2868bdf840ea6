// Any bytes as a tokenizer's file or as text: no crash, no leak, and what was encoded decodes.
// The first byte says what the rest is.
#include <cstdlib>

#include "../text/test_vocabularies.h"
#include "text/chat_template.h"
#include "text/pre_tokenizer.h"

namespace lamina::text {
namespace {

using Content = std::string_view;

void Use(const Tokenizer& tokenizer, Content text, bool special) {
  const std::vector<TokenId> ids = tokenizer.Encode(text, {special, true});
  Detokenizer detokenizer(tokenizer);
  for (const TokenId id : ids) {
    if (id < 0 || id >= tokenizer.n_vocab()) std::abort();
    if (!IsValidUtf8(detokenizer.Push(id))) std::abort();
  }
  if (!IsValidUtf8(detokenizer.Finish())) std::abort();
}

// An input takes one of the ways there are, chosen by its length: more inputs see more than each
// input taking all of them.
void UseFile(Result<TokenizerParts> parts, size_t choice) {
  if (!parts) return;
  const BpeTokenizer tokenizer(std::move(*parts));
  Use(tokenizer, "Hello  w\xC3\xB6rld's 123\n\n\xE2\x96\x81 <s></s>abc \xFF", choice % 2 == 0);
}

/// Metadata out of lines: tokens, each behind a character that says its type; "=" begins merges.
format::Metadata MetadataOf(Content content) {
  TestVocabulary v;
  bool in_merges = false;
  while (!content.empty()) {
    const size_t end = std::min(content.find('\n'), content.size());
    const Content line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line == "=") {
      in_merges = true;
    } else if (in_merges) {
      v.merges.emplace_back(line);
    } else if (!line.empty()) {
      v.Add(std::string(line.substr(1)), static_cast<TokenType>(line[0] % 8), line[0] / 8.0);
    }
  }
  format::Metadata metadata = BpeMetadata(v, "llama-bpe");
  metadata.Set("tokenizer.ggml.scores", v.scores);
  metadata.Set("tokenizer.ggml.bos_token_id", uint64_t{0});
  return metadata;
}

void UseMetadata(Content content) {
  format::Metadata metadata = MetadataOf(content);
  constexpr const char* kModels[] = {"gpt2", "gemma4", "llama"};
  metadata.Set("tokenizer.ggml.model", std::string(kModels[content.size() % 3]));
  UseFile(PartsFromGguf(metadata), content.size() / 3);
}

/// Text with a vocabulary that has every byte comes back whole, whatever the splitter.
void UseText(Content content) {
  static const auto* tokenizers = [] {
    auto* list = new std::vector<std::unique_ptr<const Tokenizer>>;
    for (const PreTokenizer& row : PreTokenizers()) {
      if (row.piece_end == WholeTextEnd || row.nfc) continue;
      list->push_back(*MakeTokenizer(BpeMetadata(ByteLevelVocabulary(), std::string(row.name))));
    }
    list->push_back(*MakeTokenizer(SpmMetadata(SpmVocabulary())));
    return list;
  }();
  if (content.empty()) return;
  const Tokenizer& tokenizer =
      *(*tokenizers)[static_cast<uint8_t>(content[0]) % tokenizers->size()];
  const Content text = content.substr(1);
  Use(tokenizer, text, content.size() % 2 == 0);
  const std::string expected = ReplaceInvalidUtf8(text);
  const bool marks = expected.find(kSpaceMark) != std::string::npos;  // read back as spaces
  if (!marks && tokenizer.Decode(tokenizer.Encode(text, {})) != expected) std::abort();
  // A message, whatever it holds, writes no special token.
  for (const TokenId id : EncodePrompt(tokenizer, {{std::string(text), false}})) {
    if (tokenizer.IsControl(id) && id != tokenizer.bos()) std::abort();
  }
}

}  // namespace
}  // namespace lamina::text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  using namespace lamina::text;
  if (n_bytes == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, n_bytes - 1);
  switch (data[0]) {
    case 'j':
      UseFile(PartsFromTokenizerJson(content), content.size());
      break;
    case 's':
      UseFile(PartsFromSentencePiece(content), content.size());
      break;
    case 't':
      UseFile(PartsFromTekken(content), content.size());
      break;
    case 'm':
      UseMetadata(content);
      break;
    default:
      UseText(content);
  }
  return 0;
}
