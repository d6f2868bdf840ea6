#include "text/vocabulary.h"

#include <algorithm>

namespace lamina::text {

void Vocabulary::Reserve(size_t n_tokens) {
  constexpr size_t kUsualTokenBytes = 8;
  blob_.reserve(n_tokens * kUsualTokenBytes);
  offsets_.reserve(n_tokens + 1);
  types_.reserve(n_tokens);
}

void Vocabulary::Add(std::string_view bytes, TokenType type) {
  blob_ += bytes;
  offsets_.push_back(blob_.size());
  types_.push_back(type);
  max_token_bytes_ = std::max(max_token_bytes_, bytes.size());
}

void Vocabulary::BuildIndex() {
  size_t n_slots = 16;
  while (n_slots < 2 * types_.size()) n_slots *= 2;
  slots_.assign(n_slots, {});
  for (TokenId id = 0; id < n_tokens(); ++id) {
    if (offsets_[id + 1] == offsets_[id]) continue;
    const uint64_t hash = HashBytes(seed_, bytes(id));
    const auto half = static_cast<uint32_t>(hash >> 32);
    // Of equal tokens of one type nobody finds but the first; a file of nothing else must not make
    // this loop long.
    const auto is_known = [&](const Slot& slot) {
      return slot.hash == half && types_[slot.id] == types_[id] && bytes(slot.id) == bytes(id);
    };
    size_t slot = hash & (n_slots - 1);
    while (slots_[slot].id >= 0 && !is_known(slots_[slot])) {
      may_have_duplicates_ |= slots_[slot].hash == half;
      slot = (slot + 1) & (n_slots - 1);
    }
    if (slots_[slot].id < 0) {
      slots_[slot] = {half, id};
    } else {
      may_have_duplicates_ = true;
    }
  }
}

TokenId Vocabulary::Lookup(std::string_view bytes_of_token, bool text_only) const {
  if (bytes_of_token.empty() || bytes_of_token.size() > max_token_bytes_) return -1;
  const size_t mask = slots_.size() - 1;
  TokenId user_defined = -1;
  const uint64_t hash = HashBytes(seed_, bytes_of_token);
  for (size_t slot = hash & mask; slots_[slot].id >= 0; slot = (slot + 1) & mask) {
    const TokenId id = slots_[slot].id;
    if (slots_[slot].hash != static_cast<uint32_t>(hash >> 32) || bytes(id) != bytes_of_token) {
      continue;
    }
    if (!text_only || types_[id] == TokenType::kNormal) return id;
    if (types_[id] == TokenType::kUserDefined && user_defined < 0) user_defined = id;
  }
  return user_defined;
}

}  // namespace lamina::text
