#include "text/splitter.h"

namespace lamina::text {
namespace {

class PatternSplitter final : public Splitter {
 public:
  explicit PatternSplitter(PieceEnd piece_end) : piece_end_(piece_end) {}
  void Split(std::string_view text, bool, EmitPiece emit) const override {
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = piece_end_(text, pos);
      emit(text.substr(pos, end - pos));
      pos = end;
    }
  }

 private:
  PieceEnd piece_end_;
};

}  // namespace

std::unique_ptr<const Splitter> MakePatternSplitter(PieceEnd piece_end) {
  return std::make_unique<PatternSplitter>(piece_end);
}

}  // namespace lamina::text
