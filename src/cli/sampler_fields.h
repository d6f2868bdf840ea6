// The fields of SamplerOptions by name: flags of run, and /set in a chat.
#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "engine/sampler.h"

namespace lamina::cli {

struct SamplerField {
  const char* name;   ///< "top_k"
  const char* flags;  ///< "--top-k"
  std::variant<float engine::SamplerOptions::*, int engine::SamplerOptions::*> field;
  const char* help;
};

std::span<const SamplerField> SamplerFields();

/// Sets a field by name. Errors: kNotFound names those there are; kInvalidArgument.
Result<> SetSamplerField(engine::SamplerOptions& options, std::string_view name,
                         std::string_view text);

/// The value of a field as text.
std::string SamplerFieldText(const engine::SamplerOptions& options, const SamplerField& field);

/// "ID=BIAS,ID=BIAS" into logit_bias. kInvalidArgument.
Result<> ParseLogitBias(std::string_view text, engine::SamplerOptions& options);

}  // namespace lamina::cli
