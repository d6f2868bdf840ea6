// Tokenizers from a tokenizer.model: sentencepiece's ModelProto, a protocol buffer.
#include <cmath>
#include <cstring>

#include "format/quote.h"
#include "text/loaders.h"

namespace lamina::text {
namespace {

constexpr size_t kMaxTokens = 1 << 24;
constexpr uint64_t kModelUnigram = 1;
constexpr uint64_t kModelBpe = 2;

/// One field of a message: a number, or a range of bytes.
struct Field {
  uint64_t number = 0;
  uint64_t wire_type = 0;
  uint64_t value = 0;      ///< Wire types 0, 1 and 5.
  std::string_view bytes;  ///< Wire type 2.
};

/// Walks the fields of a message (protobuf.dev/programming-guides/encoding); every length is
/// checked against the bytes that are left.
class MessageReader {
 public:
  explicit MessageReader(std::string_view message) : rest_(message) {}

  bool AtEnd() const { return rest_.empty(); }

  Result<Field> Next() {
    Field field;
    const uint64_t key = TRY(ReadVarint());
    field.number = key >> 3;
    field.wire_type = key & 7;
    switch (field.wire_type) {
      case 0:
        field.value = TRY(ReadVarint());
        return field;
      case 1:
        field.value = TRY(ReadFixed(8));
        return field;
      case 5:
        field.value = TRY(ReadFixed(4));
        return field;
      case 2: {
        const uint64_t n_bytes = TRY(ReadVarint());
        if (n_bytes > rest_.size()) return Truncated();
        field.bytes = rest_.substr(0, n_bytes);
        rest_.remove_prefix(n_bytes);
        return field;
      }
      default:
        return Error(Code::kInvalidArgument, "field {} has the unknown wire type {}", field.number,
                     field.wire_type);
    }
  }

 private:
  static tl::unexpected<Status> Truncated() {
    return Error(Code::kInvalidArgument, "the file ends inside a field");
  }
  Result<uint64_t> ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Truncated();
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    return Error(Code::kInvalidArgument, "a number is longer than 64 bits");
  }
  Result<uint64_t> ReadFixed(size_t n_bytes) {
    if (rest_.size() < n_bytes) return Truncated();
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; ++i) {
      value |= uint64_t{static_cast<uint8_t>(rest_[i])} << (8 * i);
    }
    rest_.remove_prefix(n_bytes);
    return value;
  }

  std::string_view rest_;
};

struct Piece {
  std::string_view text;
  float score = 0;
  uint64_t type = static_cast<uint64_t>(TokenType::kNormal);
};

struct Model {
  std::vector<Piece> pieces;
  uint64_t model_type = kModelUnigram;
  uint64_t unknown_id = 0;
  int32_t bos_id = 1;
  int32_t eos_id = 2;
  bool whitespace_as_suffix = false;
  std::string normalizer_name;
  bool has_charsmap = false;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

Result<Piece> ReadPiece(std::string_view message) {
  Piece piece;
  for (MessageReader reader(message); !reader.AtEnd();) {
    const Field field = TRY(reader.Next());
    if (field.number == 1 && field.wire_type == 2) piece.text = field.bytes;
    if (field.number == 2 && field.wire_type == 5) {
      const auto bits = static_cast<uint32_t>(field.value);
      std::memcpy(&piece.score, &bits, sizeof bits);
    }
    if (field.number == 3 && field.wire_type == 0) piece.type = field.value;
  }
  return piece;
}

Result<> ReadTrainerSpec(std::string_view message, Model& model) {
  for (MessageReader reader(message); !reader.AtEnd();) {
    const Field field = TRY(reader.Next());
    if (field.wire_type != 0) continue;
    if (field.number == 3) model.model_type = field.value;
    if (field.number == 24) model.whitespace_as_suffix = field.value != 0;
    if (field.number == 40) model.unknown_id = field.value;
    if (field.number == 41) model.bos_id = static_cast<int32_t>(field.value);
    if (field.number == 42) model.eos_id = static_cast<int32_t>(field.value);
  }
  return {};
}

Result<> ReadNormalizerSpec(std::string_view message, Model& model) {
  for (MessageReader reader(message); !reader.AtEnd();) {
    const Field field = TRY(reader.Next());
    if (field.number == 1 && field.wire_type == 2) model.normalizer_name = field.bytes;
    if (field.number == 2 && field.wire_type == 2) model.has_charsmap = !field.bytes.empty();
    if (field.wire_type != 0) continue;
    if (field.number == 3) model.add_dummy_prefix = field.value != 0;
    if (field.number == 4) model.remove_extra_whitespaces = field.value != 0;
    if (field.number == 5) model.escape_whitespaces = field.value != 0;
  }
  return {};
}

Result<Model> ReadModel(std::string_view content) {
  Model model;
  for (MessageReader reader(content); !reader.AtEnd();) {
    const Field field = TRY(reader.Next());
    if (field.wire_type != 2) continue;
    if (field.number == 1) {
      if (model.pieces.size() == kMaxTokens) {
        return Error(Code::kInvalidArgument, "there are more than {} pieces", kMaxTokens);
      }
      model.pieces.push_back(TRY(ReadPiece(field.bytes)));
    }
    if (field.number == 2) TRY(ReadTrainerSpec(field.bytes, model));
    if (field.number == 3) TRY(ReadNormalizerSpec(field.bytes, model));
  }
  return model;
}

Result<> CheckSupported(const Model& model) {
  const auto unsupported = [](std::string_view field, const auto& found, std::string_view wanted) {
    return Error(Code::kUnimplemented, "{} is {}, which is not supported; supported is: {}", field,
                 found, wanted);
  };
  if (model.model_type != kModelBpe) {
    return unsupported("trainer_spec.model_type", model.model_type, "2 (BPE)");
  }
  if (model.whitespace_as_suffix) {
    return unsupported("trainer_spec.treat_whitespace_as_suffix", true, "false");
  }
  if (model.has_charsmap) {
    return unsupported("normalizer_spec.name", format::Quote(model.normalizer_name), "identity");
  }
  if (model.remove_extra_whitespaces) {
    return unsupported("normalizer_spec.remove_extra_whitespaces", true, "false");
  }
  if (!model.escape_whitespaces) {
    return unsupported("normalizer_spec.escape_whitespaces", false, "true");
  }
  if (model.pieces.empty()) return Error(Code::kInvalidArgument, "there are no pieces");
  return {};
}

Result<> AddPieces(const Model& model, TokenizerParts& parts) {
  std::vector<double> scores;
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    const auto id = static_cast<TokenId>(i);
    if (std::isnan(piece.score)) {
      return Error(Code::kInvalidArgument, "pieces[{}].score is not a number", i);
    }
    if (piece.type < 1 || piece.type > static_cast<uint64_t>(TokenType::kByte)) {
      return Error(Code::kInvalidArgument, "pieces[{}].type is {}; 1 to 6 are possible", i,
                   piece.type);
    }
    scores.push_back(piece.score);
    auto type = static_cast<TokenType>(piece.type);
    if (type == TokenType::kUnused) type = TokenType::kNormal;
    std::string text(piece.text);
    if (type == TokenType::kByte) {
      const int byte = ByteOfName(text);
      if (byte < 0) {
        return Error(Code::kInvalidArgument,
                     "pieces[{}] is {}, but its type is byte; it must be <0x00> to <0xFF>", i,
                     format::Quote(text));
      }
      parts.byte_tokens.id[byte] = id;
      text.assign(1, static_cast<char>(byte));
    } else if (type == TokenType::kControl || type == TokenType::kUnknown) {
      parts.added.push_back({text, id, /*special=*/true});
    } else if (type == TokenType::kUserDefined) {
      parts.added_normalized.push_back({text, id, /*special=*/false});
    }
    parts.vocabulary->Add(text, type);
  }
  parts.vocabulary->BuildIndex();
  parts.merges = std::make_unique<ConcatMerges>(*parts.vocabulary, RanksOfScores(scores));
  return {};
}

}  // namespace

Result<TokenizerParts> PartsFromSentencePiece(std::string_view content) {
  const Model model = TRY(ReadModel(content));
  TRY(CheckSupported(model));
  TokenizerParts parts;
  parts.alphabet = TokenizerParts::Alphabet::kChars;
  parts.fuse_unknown = true;
  TRY(AddPieces(model, parts));
  const auto n_tokens = static_cast<uint64_t>(model.pieces.size());
  if (model.unknown_id >= n_tokens) {
    return Error(Code::kInvalidArgument, "trainer_spec.unk_id is {}, but there are {} pieces",
                 model.unknown_id, n_tokens);
  }
  parts.unknown = static_cast<TokenId>(model.unknown_id);
  const auto in_range = [&](int32_t id) { return id >= 0 && static_cast<uint64_t>(id) < n_tokens; };
  parts.bos = in_range(model.bos_id) ? model.bos_id : -1;
  parts.eos = in_range(model.eos_id) ? model.eos_id : -1;
  parts.adds_bos = true;
  if (model.add_dummy_prefix) parts.normalizer.AddPrefix(std::string(kSpaceMark));
  parts.normalizer.AddReplacement(" ", std::string(kSpaceMark));
  parts.drops_leading_space = model.add_dummy_prefix;
  return parts;
}

}  // namespace lamina::text
