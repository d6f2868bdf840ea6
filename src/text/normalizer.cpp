#include "text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <algorithm>

namespace lamina::text {
namespace {

std::string ToForm(std::string text, Normalizer::Form form) {
  // Every ASCII text is in every form already.
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; }))
    return text;
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case Normalizer::Form::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(error);
      break;
    case Normalizer::Form::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(error);
      break;
    case Normalizer::Form::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(error);
      break;
    case Normalizer::Form::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(error);
      break;
  }
  if (U_FAILURE(error)) return text;
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  normalizer->normalizeUTF8(0, text, sink, nullptr, error);
  return U_FAILURE(error) ? text : result;
}

std::string Replace(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  result.reserve(text.size());
  size_t pos = 0;
  for (size_t hit; (hit = text.find(from, pos)) != std::string_view::npos;) {
    result += text.substr(pos, hit - pos);
    result += to;
    pos = hit + from.size();
  }
  result += text.substr(pos);
  return result;
}

}  // namespace

std::string Normalizer::Run(std::string_view text, bool at_start) const {
  std::string result(text);
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kForm:
        result = ToForm(std::move(result), step.form);
        break;
      case Kind::kPrefix:
        if (result.empty() || (step.at_start_only && !at_start)) break;
        if (step.once && std::string_view(result).substr(0, step.to.size()) == step.to) break;
        result.insert(0, step.to);
        break;
      case Kind::kReplacement:
        if (!step.from.empty()) result = Replace(result, step.from, step.to);
        break;
    }
  }
  return result;
}

}  // namespace lamina::text
