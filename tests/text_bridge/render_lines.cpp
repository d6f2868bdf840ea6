// Renders templates for the comparison with jinja2 and the property test: one JSON object per line
// in, one out.
//
// In: template, messages, and optionally tools, extra, add_generation_prompt, bos, eos, special
// (texts of special tokens). Out: {"text": ..., "control": [special tokens that would be read]} or
// {"error": ..., "code": ...}.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "fake_tokenizer.h"
#include "text_bridge/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

using lamina::text_bridge::FakeTokenizer;

FakeTokenizer MakeTokenizer(const Json& line) {
  return FakeTokenizer(line.value("special", std::vector<std::string>()), line.value("bos", ""),
                       line.value("eos", ""));
}

/// The template of a line; neighbouring lines mostly have the same one.
lamina::Result<const lamina::text::ChatTemplate*> Template(const Json& line,
                                                           const FakeTokenizer& tokenizer) {
  static std::string source;
  static std::unique_ptr<lamina::text::ChatTemplate> compiled;
  if (!compiled || source != line.at("template")) {
    compiled.reset();
    source = line.at("template");
    compiled = TRY(lamina::text_bridge::CreateChatTemplate(source, tokenizer));
  }
  return compiled.get();
}

lamina::Result<Json> Render(const Json& line) {
  const FakeTokenizer tokenizer = MakeTokenizer(line);
  const lamina::text::ChatTemplate* chat_template = TRY(Template(line, tokenizer));
  std::vector<lamina::text::ChatMessage> messages;
  for (const auto& message : line.at("messages")) {
    messages.push_back({message.at("role"), message.at("content")});
  }
  lamina::text::ChatOptions options;
  options.add_generation_prompt = line.value("add_generation_prompt", true);
  if (line.contains("tools")) options.tools_json = line["tools"].dump();
  if (line.contains("extra")) options.extra_json = line["extra"].dump();
  std::string text;
  Json control = Json::array();
  for (const auto& piece : TRY(chat_template->Render(messages, options))) {
    text += piece.text;
    for (const auto id : tokenizer.Encode(piece.text, {.parse_special = piece.parse_special})) {
      if (id < tokenizer.NumSpecial()) control.push_back(tokenizer.special_tokens()[id]);
    }
  }
  return Json{{"text", text}, {"control", control}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto rendered = Render(Json::parse(line));
    const Json out = rendered
                         ? *rendered
                         : Json{{"error", rendered.error().message()},
                                {"code", std::string(lamina::CodeName(rendered.error().code()))}};
    std::cout << out.dump() << "\n";
  }
}
