#include "engine/drafters/draft_model.h"
#include "engine/drafters/lookup.h"
#include "engine/drafters/ngram.h"
#include "engine/drafters/suffix.h"

namespace lamina::engine {

std::span<const DrafterKind> DrafterKinds() {
  static const DrafterKind kinds[] = {
      {"ngram", false, LookupPriors(), MakeNgramDrafter},
      {"suffix", false, LookupPriors(), MakeSuffixDrafter},
      {"draft", true, DraftModelPriors(), MakeDraftModelDrafter},
  };
  return kinds;
}

}  // namespace lamina::engine
