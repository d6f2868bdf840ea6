#include "text_bridge/jinja.h"

#ifdef LAMINA_HAS_BRIDGE
#include "lamina_bridge.h"
#endif

namespace lamina::text_bridge {

#ifdef LAMINA_HAS_BRIDGE

namespace {

std::string Take(LaminaBytes bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data), bytes.n_bytes);
  lamina_bridge_free_bytes(bytes);
  return text;
}

}  // namespace

Result<Jinja> Jinja::Compile(std::string_view source) {
  Jinja jinja;
  LaminaTemplate* compiled = nullptr;
  LaminaBytes bytes;
  const int32_t code = lamina_template_compile(source.data(), source.size(), &compiled, &bytes);
  std::string message = Take(bytes);
  if (code != 0) return Error(Status(static_cast<Code>(code), std::move(message)));
  jinja.compiled_.reset(compiled);
  return jinja;
}

Result<std::string> Jinja::Render(std::string_view variables_json) const {
  LaminaBytes bytes;
  const int32_t code =
      lamina_template_render(compiled_.get(), variables_json.data(), variables_json.size(), &bytes);
  std::string text = Take(bytes);
  if (code != 0) return Error(Status(static_cast<Code>(code), std::move(text)));
  return text;
}

void Jinja::Free::operator()(LaminaTemplate* compiled) const { lamina_template_free(compiled); }

#else

Result<Jinja> Jinja::Compile(std::string_view) {
  return Error(Code::kUnimplemented,
               "this build has no chat templates (LAMINA_BRIDGE=OFF); use raw text");
}

Result<std::string> Jinja::Render(std::string_view) const {
  return Error(Code::kUnimplemented, "this build has no chat templates (LAMINA_BRIDGE=OFF)");
}

void Jinja::Free::operator()(LaminaTemplate*) const {}

#endif

}  // namespace lamina::text_bridge
