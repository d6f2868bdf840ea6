#include "model/families/fields.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace lamina::model::families {
namespace {

using nlohmann::json;

Result<int64_t> JsonInt(const json& value, const std::string& name) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) {
      return Error(Code::kInvalidArgument, "{} is {}, which is too large", name, number);
    }
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::floor(number) == number && std::fabs(number) < 9e15) {
      return static_cast<int64_t>(number);
    }
  }
  return Error(Code::kInvalidArgument, "{} must be a whole number", name);
}

Result<double> JsonFloat(const json& value, const std::string& name) {
  if (!value.is_number()) return Error(Code::kInvalidArgument, "{} must be a number", name);
  return value.get<double>();
}

Result<int64_t> InBounds(int64_t value, Bounds bounds, const std::string& name) {
  if (value < bounds.min || value > bounds.max) {
    return Error(Code::kInvalidArgument, "{} is {}, but must be {} to {}", name, value, bounds.min,
                 bounds.max);
  }
  return value;
}

}  // namespace

Result<Fields> Fields::Open(const format::ModelSource& source) {
  Fields fields;
  fields.source_ = &source;
  if (source.kind() == format::ModelSource::Kind::kGguf) {
    fields.architecture_ = TRY(source.metadata().GetString("general.architecture"));
    return fields;
  }
  const json* config = &source.config();
  if (!config->is_object()) {
    return Error(Code::kInvalidArgument, "config.json must hold an object");
  }
  const json* model_type = nullptr;
  if (auto text = config->find("text_config"); text != config->end() && text->is_object()) {
    if (auto type = text->find("model_type"); type != text->end()) model_type = &*type;
    fields.config_ = &*text;
  } else {
    fields.config_ = config;
  }
  if (!model_type) {
    auto type = config->find("model_type");
    if (type == config->end()) {
      return Error(Code::kInvalidArgument, "config.json has no model_type");
    }
    model_type = &*type;
  }
  if (!model_type->is_string()) {
    return Error(Code::kInvalidArgument, "model_type of config.json must be a string");
  }
  fields.architecture_ = model_type->get<std::string>();
  return fields;
}

std::string Fields::Key(Field field) const {
  if (field.gguf.substr(0, 8) == "general.") return std::string(field.gguf);
  return architecture_ + "." + std::string(field.gguf);
}

std::string Fields::Name(Field field) const {
  return is_gguf() ? Key(field) : std::string(field.hf) + " of config.json";
}

const json* Fields::FindJson(std::string_view path) const {
  if (path.empty()) return nullptr;
  const json* node = config_;
  while (true) {
    const size_t dot = path.find('.');
    if (!node->is_object()) return nullptr;
    auto next = node->find(std::string(path.substr(0, dot)));
    if (next == node->end() || next->is_null()) return nullptr;
    node = &*next;
    if (dot == std::string_view::npos) return node;
    path.remove_prefix(dot + 1);
  }
}

bool Fields::Has(Field field) const {
  if (is_gguf()) return !field.gguf.empty() && source_->metadata().Find(Key(field)) != nullptr;
  return FindJson(field.hf) != nullptr;
}

bool Fields::IsObject(Field field) const {
  const json* value = is_gguf() ? nullptr : FindJson(field.hf);
  return value && value->is_object();
}

bool Fields::IsList(Field field) const {
  if (!is_gguf()) {
    const json* value = FindJson(field.hf);
    return value && value->is_array();
  }
  const format::Value* value = field.gguf.empty() ? nullptr : source_->metadata().Find(Key(field));
  return value && (std::holds_alternative<std::vector<bool>>(*value) ||
                   std::holds_alternative<std::vector<uint64_t>>(*value) ||
                   std::holds_alternative<std::vector<int64_t>>(*value));
}

Result<int64_t> Fields::Int(Field field, Bounds bounds) const {
  if (is_gguf()) {
    return InBounds(TRY(source_->metadata().GetInt(Key(field))), bounds, Name(field));
  }
  const json* value = FindJson(field.hf);
  if (!value) return Error(Code::kNotFound, "{} is missing", Name(field));
  return InBounds(TRY(JsonInt(*value, Name(field))), bounds, Name(field));
}

Result<int64_t> Fields::IntOr(Field field, int64_t fallback, Bounds bounds) const {
  return Has(field) ? Int(field, bounds) : Result<int64_t>(fallback);
}

Result<double> Fields::Float(Field field, double min, double max) const {
  double value;
  if (is_gguf()) {
    value = TRY(source_->metadata().GetFloat(Key(field)));
  } else {
    const json* node = FindJson(field.hf);
    if (!node) return Error(Code::kNotFound, "{} is missing", Name(field));
    value = TRY(JsonFloat(*node, Name(field)));
  }
  if (!(value >= min && value <= max)) {
    return Error(Code::kInvalidArgument, "{} is {}, but must be {} to {}", Name(field), value, min,
                 max);
  }
  return value;
}

Result<double> Fields::FloatOr(Field field, double fallback, double min, double max) const {
  return Has(field) ? Float(field, min, max) : Result<double>(fallback);
}

Result<bool> Fields::BoolOr(Field field, bool fallback) const {
  if (!Has(field)) return fallback;
  if (is_gguf()) return source_->metadata().GetBool(Key(field));
  const json* value = FindJson(field.hf);
  if (!value->is_boolean()) {
    return Error(Code::kInvalidArgument, "{} must be true or false", Name(field));
  }
  return value->get<bool>();
}

Result<std::string> Fields::StringOr(Field field, std::string fallback) const {
  if (!Has(field)) return fallback;
  if (is_gguf()) return source_->metadata().GetString(Key(field));
  const json* value = FindJson(field.hf);
  if (!value->is_string()) {
    return Error(Code::kInvalidArgument, "{} must be a string", Name(field));
  }
  return value->get<std::string>();
}

Result<std::vector<double>> Fields::Floats(Field field) const {
  if (is_gguf()) return source_->metadata().GetFloats(Key(field));
  const json* value = FindJson(field.hf);
  if (!value || !value->is_array()) {
    return Error(Code::kInvalidArgument, "{} must be a list of numbers", Name(field));
  }
  std::vector<double> numbers;
  for (const json& element : *value) numbers.push_back(TRY(JsonFloat(element, Name(field))));
  return numbers;
}

Result<std::vector<std::string>> Fields::Strings(Field field) const {
  if (is_gguf()) return *TRY(source_->metadata().GetStrings(Key(field)));
  const json* value = FindJson(field.hf);
  if (!value || !value->is_array()) {
    return Error(Code::kInvalidArgument, "{} must be a list of strings", Name(field));
  }
  std::vector<std::string> strings;
  for (const json& element : *value) {
    if (!element.is_string()) {
      return Error(Code::kInvalidArgument, "{} must be a list of strings", Name(field));
    }
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

Result<std::vector<int64_t>> Fields::PerLayer(Field field, int64_t n_layers, Bounds bounds) const {
  const bool is_list = IsList(field);
  std::vector<int64_t> numbers;
  if (!is_list) {
    numbers.assign(1, TRY(Int(field, bounds)));
  } else if (is_gguf()) {
    numbers = TRY(source_->metadata().GetInts(Key(field)));
  } else {
    for (const json& element : *FindJson(field.hf)) {
      numbers.push_back(TRY(JsonInt(element, Name(field))));
    }
  }
  if (!is_list) numbers.resize(n_layers, numbers[0]);
  if (static_cast<int64_t>(numbers.size()) != n_layers) {
    return Error(Code::kInvalidArgument, "{} has {} values, but the model has {} layers",
                 Name(field), numbers.size(), n_layers);
  }
  for (int64_t number : numbers) TRY(InBounds(number, bounds, Name(field)));
  return numbers;
}

Result<std::vector<int64_t>> Fields::PerLayerOr(Field field, int64_t fallback, int64_t n_layers,
                                                Bounds bounds) const {
  if (!Has(field)) return std::vector<int64_t>(n_layers, fallback);
  return PerLayer(field, n_layers, bounds);
}

}  // namespace lamina::model::families
