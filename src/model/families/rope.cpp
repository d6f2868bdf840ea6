// Rotary embedding and its scalings, as GGUF metadata or config.json describes them.
#include <cmath>
#include <numbers>

#include "model/families/common.h"

namespace lamina::model::families {
namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr Bounds kContext = {1, int64_t{1} << 31};

Result<std::vector<float>> Divisors(const std::vector<double>& values, int n_rot,
                                    const std::string& name) {
  if (values.size() != static_cast<size_t>(n_rot / 2)) {
    return Error(Code::kInvalidArgument,
                 "{} has {} values, but {} dimensions are rotated and it needs {}", name,
                 values.size(), n_rot, n_rot / 2);
  }
  for (double value : values) {
    if (!(value > 0 && value <= 1e30)) {
      return Error(Code::kInvalidArgument, "{} holds {}, but must be above 0 and at most 1e30",
                   name, value);
    }
  }
  return std::vector<float>(values.begin(), values.end());
}

Result<std::vector<float>> TensorDivisors(const format::Tensor& tensor, int n_rot) {
  const auto floats = TensorValues(tensor);
  // 1e30 in f32 is a little above 1e30.
  std::vector<double> values;
  values.reserve(floats.size());
  for (float value : floats) values.push_back(std::min<double>(value, 1e30));
  return Divisors(values, n_rot, "tensor " + tensor.name);
}

// YaRN's magnitude grows with the logarithm of the scale (arXiv:2309.00071, section 3.4).
double YarnMagnitude(double factor, double multiplier) {
  return factor <= 1.0 ? 1.0 : 0.1 * multiplier * std::log(factor) + 1.0;
}

Result<RopeSpec> ReadGguf(const Fields& fields, int d_head, const RopeOptions& options) {
  RopeSpec rope;
  rope.theta = TRY(fields.FloatOr(options.theta, options.default_theta, 1.0, kMaxTheta));
  rope.n_rot = static_cast<int>(TRY(fields.IntOr(options.n_rot, d_head, {0, d_head})));
  if (!options.scaled) return rope;

  if (const auto* tensor = fields.source().Find(options.gguf_divisors)) {
    rope.freq_divisors = TRY(TensorDivisors(*tensor, rope.n_rot));
  }
  const Field original = {"rope.scaling.original_context_length", ""};
  const Field attn_factor = {"rope.scaling.attn_factor", ""};
  rope.magnitude = static_cast<float>(TRY(fields.FloatOr(attn_factor, 1.0, 1e-3, 1e3)));
  const auto* long_factors = fields.source().Find("rope_factors_long.weight");
  const auto* short_factors = fields.source().Find("rope_factors_short.weight");
  if (long_factors || short_factors) {
    if (!long_factors || !short_factors) {
      return Error(Code::kInvalidArgument, "tensor {} is missing beside {}",
                   long_factors ? "rope_factors_short.weight" : "rope_factors_long.weight",
                   long_factors ? "rope_factors_long.weight" : "rope_factors_short.weight");
    }
    rope.long_divisors = TRY(TensorDivisors(*long_factors, rope.n_rot));
    rope.freq_divisors = TRY(TensorDivisors(*short_factors, rope.n_rot));
    rope.original_context = TRY(fields.Int(original, kContext));
    return rope;
  }
  const Field type_field = {"rope.scaling.type", ""};
  const std::string type = TRY(fields.StringOr(type_field, "none"));
  const Field factor_field = fields.Has({"rope.scaling.factor", ""})
                                 ? Field{"rope.scaling.factor", ""}
                                 : Field{"rope.scale_linear", ""};
  const double factor = TRY(fields.FloatOr(factor_field, 1.0, 1e-3, kMaxFactor));
  if (type == "yarn") {
    rope.yarn_factor = factor;
    rope.original_context = TRY(fields.Int(original, kContext));
    rope.yarn_beta_fast = TRY(fields.FloatOr({"rope.scaling.yarn_beta_fast", ""}, 32.0, 1e-3, 1e6));
    rope.yarn_beta_slow = TRY(fields.FloatOr({"rope.scaling.yarn_beta_slow", ""}, 1.0, 1e-3, 1e6));
    const double multiplier =
        TRY(fields.FloatOr({"rope.scaling.yarn_log_multiplier", ""}, 0.0, 0.0, 1e3));
    double magnitude = YarnMagnitude(factor, 1.0);
    if (multiplier > 0) magnitude /= YarnMagnitude(factor, multiplier);
    rope.magnitude *= static_cast<float>(magnitude);
  } else if (type == "linear" || (type == "none" && factor != 1.0)) {
    rope.linear_factor = factor;
  } else if (type != "none" && type != "longrope") {
    return Error(Code::kUnimplemented, "{} is {}; supported are none, linear, yarn and longrope",
                 fields.Name(type_field), type);
  }
  return rope;
}

// Llama 3.1: slow pairs are divided by the factor, fast ones kept, those between blended.
std::vector<float> Llama3Divisors(const RopeSpec& rope, double factor, double low, double high,
                                  double original) {
  std::vector<float> divisors;
  for (int i = 0; i < rope.n_rot / 2; ++i) {
    const double wave = 2 * std::numbers::pi * std::pow(rope.theta, 2.0 * i / rope.n_rot);
    double divisor = 1.0;
    if (wave > original / low) {
      divisor = factor;
    } else if (wave >= original / high) {
      const double smooth = (original / wave - low) / (high - low);
      divisor = 1.0 / ((1.0 - smooth) / factor + smooth);
    }
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

/// The parameters of config.json: the object that holds them, or the top level where older files
/// keep base and rotated share.
class HfRope {
 public:
  HfRope(const Fields& fields, std::string_view group) : fields_(fields) {
    object_ = "rope_parameters";
    if (!fields.Has({"", object_})) object_ = "rope_scaling";
    const std::string grouped = object_ + "." + std::string(group);
    is_grouped_ = !group.empty() && fields.Has({"", grouped});
    if (is_grouped_) object_ = grouped;
  }
  /// What is there under another type would silently be left out.
  Result<> Check() const {
    const Field field = {"", object_};
    if (!fields_.Has(field) || fields_.IsObject(field)) return {};
    return Error(Code::kInvalidArgument, "{} of config.json must be an object", object_);
  }
  bool is_grouped() const { return is_grouped_; }
  std::string Inside(std::string_view name) const { return object_ + "." + std::string(name); }
  /// The name inside the object if it is there, else at the top level.
  std::string Path(std::string_view name) const {
    const std::string inside = Inside(name);
    return fields_.Has({"", inside}) ? inside : std::string(name);
  }

 private:
  const Fields& fields_;
  std::string object_;
  bool is_grouped_;
};

Result<RopeSpec> ReadHf(const Fields& fields, int d_head, const RopeOptions& options) {
  const HfRope hf(fields, options.hf_group);
  TRY(hf.Check());
  const auto number = [&](std::string_view name, double fallback, double min, double max) {
    return fields.FloatOr({"", hf.Inside(name)}, fallback, min, max);
  };
  RopeSpec rope;
  std::string theta_path = hf.Inside("rope_theta");
  if (!fields.Has({"", theta_path})) theta_path = options.theta.hf;
  rope.theta = TRY(fields.FloatOr({"", theta_path}, options.default_theta, 1.0, kMaxTheta));
  std::string type_path = hf.Inside("rope_type");
  if (!fields.Has({"", type_path})) type_path = hf.Inside("type");
  const std::string type = TRY(fields.StringOr({"", type_path}, "default"));

  const double share = TRY(fields.FloatOr({"", hf.Path("partial_rotary_factor")}, 1.0, 0.0, 1.0));
  rope.n_rot = type == "proportional" ? d_head : static_cast<int>(d_head * share);
  if (type == "proportional") {
    // All pairs (i, i + d_head / 2) are laid out, the slow ones stand still.
    const int n_turning = static_cast<int>(share * d_head) / 2;
    const double factor = TRY(number("factor", 1.0, 1e-3, kMaxFactor));
    for (int i = 0; i < d_head / 2; ++i) {
      rope.freq_divisors.push_back(i < n_turning ? static_cast<float>(factor) : 1e30f);
    }
    return rope;
  }
  // Dynamic scaling begins past max_position_embeddings, which no context exceeds.
  if (type == "default" || type == "mrope" || type == "dynamic") return rope;
  if (!options.scaled && !hf.is_grouped()) return rope;

  const double factor = TRY(number("factor", 0.0, 0.0, kMaxFactor));
  const auto need_factor = [&]() -> Result<> {
    if (factor > 0) return {};
    return Error(Code::kInvalidArgument, "{} of config.json must be above 0", hf.Inside("factor"));
  };
  if (type == "linear") {
    TRY(need_factor());
    rope.linear_factor = factor;
    return rope;
  }
  const int64_t original =
      TRY(fields.IntOr({"", hf.Path("original_max_position_embeddings")}, 0, {0, kContext.max}));
  if (original == 0 && (type == "llama3" || type == "yarn" || type == "longrope" || type == "su")) {
    return Error(Code::kInvalidArgument,
                 "original_max_position_embeddings of config.json must be above 0 for {} {}",
                 type_path, type);
  }
  if (type == "llama3") {
    TRY(need_factor());
    const double low = TRY(fields.Float({"", hf.Inside("low_freq_factor")}, 1e-6, 1e6));
    const double high = TRY(fields.Float({"", hf.Inside("high_freq_factor")}, 1e-6, 1e6));
    if (high <= low) {
      return Error(Code::kInvalidArgument, "{} of config.json must be above {}",
                   hf.Inside("high_freq_factor"), hf.Inside("low_freq_factor"));
    }
    rope.freq_divisors = Llama3Divisors(rope, factor, low, high, static_cast<double>(original));
    return rope;
  }
  const int64_t max_context = TRY(fields.Int({"", "max_position_embeddings"}, kContext));
  const double scale = factor > 0 ? factor : static_cast<double>(max_context) / original;
  if (type == "yarn") {
    rope.yarn_factor = scale;
    rope.original_context = original;
    rope.yarn_beta_fast = TRY(number("beta_fast", 32.0, 1e-3, 1e6));
    rope.yarn_beta_slow = TRY(number("beta_slow", 1.0, 1e-3, 1e6));
    const double mscale = TRY(number("mscale", 0.0, 0.0, 1e3));
    const double mscale_all = TRY(number("mscale_all_dim", 0.0, 0.0, 1e3));
    const double magnitude = mscale > 0 && mscale_all > 0
                                 ? YarnMagnitude(scale, mscale) / YarnMagnitude(scale, mscale_all)
                                 : YarnMagnitude(scale, 1.0);
    rope.magnitude = static_cast<float>(TRY(number("attention_factor", magnitude, 1e-3, 1e3)));
    if (!TRY(fields.BoolOr({"", hf.Inside("truncate")}, true))) {
      return Error(Code::kUnimplemented, "{} false of config.json is not supported",
                   hf.Inside("truncate"));
    }
    return rope;
  }
  if (type == "longrope" || type == "su") {
    const std::string long_path = hf.Inside("long_factor"), short_path = hf.Inside("short_factor");
    rope.long_divisors = TRY(Divisors(TRY(fields.Floats({"", long_path})), rope.n_rot, long_path));
    rope.freq_divisors =
        TRY(Divisors(TRY(fields.Floats({"", short_path})), rope.n_rot, short_path));
    rope.original_context = original;
    const double magnitude =
        scale <= 1.0 ? 1.0
                     : std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(original)));
    rope.magnitude = static_cast<float>(TRY(number("attention_factor", magnitude, 1e-3, 1e3)));
    return rope;
  }
  return Error(
      Code::kUnimplemented,
      "{} of config.json is {}; supported are default, linear, llama3, dynamic, yarn, longrope "
      "and proportional",
      type_path, type);
}

}  // namespace

Result<RopeSpec> ReadRope(const Fields& fields, int d_head, const RopeOptions& options) {
  RopeSpec rope =
      TRY(fields.is_gguf() ? ReadGguf(fields, d_head, options) : ReadHf(fields, d_head, options));
  if (rope.n_rot % 2 != 0) {
    return Error(Code::kInvalidArgument, "{} of {} rotated dimensions must be even",
                 fields.is_gguf() ? fields.Name(options.n_rot)
                                  : std::string("partial_rotary_factor of config.json"),
                 rope.n_rot);
  }
  return rope;
}

Result<> SetRope(const Fields& fields, ModelSpec* spec, const RopeOptions& options) {
  spec->ropes.push_back(TRY(ReadRope(fields, spec->layers[0].d_head, options)));
  for (LayerSpec& layer : spec->layers) layer.rope = 0;
  return {};
}

}  // namespace lamina::model::families
