// The fields of a model's configuration under one interface: GGUF metadata or config.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/model_source.h"

namespace lamina::model::families {

/// One field as both formats spell it. GGUF keys get the architecture before them; dots in the
/// config.json name lead into nested objects. Empty = the format does not have it.
struct Field {
  std::string_view gguf;
  std::string_view hf;
};

/// Bounds of a number, both included.
struct Bounds {
  int64_t min;
  int64_t max;
};

/// Read access to a model's configuration. A config.json of a multimodal model is read in its
/// "text_config". A null counts as absent. Every error names the field as the file spells it:
/// kNotFound where it is absent, kInvalidArgument where type or value do not fit.
class Fields {
 public:
  /// Errors: kInvalidArgument where the architecture is not named.
  static Result<Fields> Open(const format::ModelSource& source);

  const format::ModelSource& source() const { return *source_; }
  bool is_gguf() const { return source_->kind() == format::ModelSource::Kind::kGguf; }
  /// GGUF's general.architecture, or config.json's model_type.
  const std::string& architecture() const { return architecture_; }
  /// How the file spells a field, for messages.
  std::string Name(Field field) const;

  bool Has(Field field) const;
  bool IsObject(Field field) const;  ///< Of config.json.
  /// Whether the value is a list rather than one number.
  bool IsList(Field field) const;
  Result<int64_t> Int(Field field, Bounds bounds) const;
  Result<int64_t> IntOr(Field field, int64_t fallback, Bounds bounds) const;
  /// A finite number in [min, max].
  Result<double> Float(Field field, double min, double max) const;
  Result<double> FloatOr(Field field, double fallback, double min, double max) const;
  Result<bool> BoolOr(Field field, bool fallback) const;
  Result<std::string> StringOr(Field field, std::string fallback) const;
  Result<std::vector<double>> Floats(Field field) const;
  Result<std::vector<std::string>> Strings(Field field) const;
  /// One number per layer: a scalar is repeated, an array must have n_layers values (booleans count
  /// as 0 and 1).
  Result<std::vector<int64_t>> PerLayer(Field field, int64_t n_layers, Bounds bounds) const;
  Result<std::vector<int64_t>> PerLayerOr(Field field, int64_t fallback, int64_t n_layers,
                                          Bounds bounds) const;

 private:
  const nlohmann::json* FindJson(std::string_view path) const;
  std::string Key(Field field) const;

  const format::ModelSource* source_ = nullptr;
  const nlohmann::json* config_ = nullptr;
  std::string architecture_;
};

}  // namespace lamina::model::families
