// The steps that cut a text into pieces; merges never cross the border of a piece.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/function_ref.h"
#include "base/result.h"
#include "text/pre_tokenizer.h"

namespace lamina::text {

using EmitPiece = FunctionRef<void(std::string_view piece)>;

/// One step. Immutable; safe from any thread.
class Splitter {
 public:
  virtual ~Splitter() = default;
  /// Calls `emit` with the pieces of `text` (valid UTF-8) in order. `first`: the text is the
  /// beginning of the whole input.
  virtual void Split(std::string_view text, bool first, EmitPiece emit) const = 0;
};

/// A known pattern, split without a regular expression.
std::unique_ptr<const Splitter> MakePatternSplitter(PieceEnd piece_end);

}  // namespace lamina::text
