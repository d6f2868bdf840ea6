// The known ways of cutting a text into pieces before tokens are merged.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lamina::text {

/// Where the piece ends that begins at `pos` < text.size(): always behind `pos`, never inside a
/// character. The text is valid UTF-8. Linear over a whole text; no backtracking.
using PieceEnd = size_t (*)(std::string_view text, size_t pos);

/// A pre-tokenizer that GGUF metadata names in `tokenizer.ggml.pre`.
struct PreTokenizer {
  std::string_view name;
  PieceEnd piece_end;
  bool ignore_merges;  ///< A piece that is a token as a whole needs no merges.
  bool adds_bos;       ///< Where the metadata does not say.
  bool nfc;            ///< The model's own tokenizer composes characters first.
  /// The pattern that `piece_end` implements, as tokenizer.json files write it; "" where it takes
  /// more than one pattern.
  std::string_view pattern;
};

std::span<const PreTokenizer> PreTokenizers();

/// The row of this name, or null.
const PreTokenizer* FindPreTokenizer(std::string_view name);

/// The splitter of a pattern that tokenizer.json holds, or null.
PieceEnd FindPattern(std::string_view pattern);

/// The names of all rows, for messages.
std::string PreTokenizerNames();

size_t Gpt2PieceEnd(std::string_view text, size_t pos);
size_t SmolLmPieceEnd(std::string_view text, size_t pos);
size_t Llama3PieceEnd(std::string_view text, size_t pos);
size_t Qwen2PieceEnd(std::string_view text, size_t pos);
size_t Qwen35PieceEnd(std::string_view text, size_t pos);
size_t Gpt4oPieceEnd(std::string_view text, size_t pos);
size_t TekkenPieceEnd(std::string_view text, size_t pos);
/// Everything is one piece.
size_t WholeTextEnd(std::string_view text, size_t pos);

}  // namespace lamina::text
