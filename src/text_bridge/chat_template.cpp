#include "text_bridge/chat_template.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text_bridge/content_marks.h"
#include "text_bridge/jinja.h"
#include "text_bridge/prompt_pieces.h"

namespace lamina::text_bridge {
namespace {

using Json = nlohmann::ordered_json;  // Templates print what they are given in the order given.

constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxExempt = 16;  // Each costs a rendering.

/// What the renderer itself sets, and callers' options must not.
constexpr std::array<std::string_view, 6> kReserved = {
    "messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"};

/// Parses bounded JSON of a caller. Errors: kInvalidArgument names `field`.
Result<Json> ParseJson(std::string_view text, std::string_view field) {
  bool too_deep = false;
  const auto bound_depth = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > kMaxJsonDepth;
    return !too_deep;
  };
  Json value = Json::parse(text, bound_depth, /*allow_exceptions=*/false);
  if (too_deep) {
    return Error(Code::kInvalidArgument, "{} is nested deeper than {} levels", field,
                 kMaxJsonDepth);
  }
  if (value.is_discarded()) return Error(Code::kInvalidArgument, "{} is not valid JSON", field);
  return value;
}

/// Applies `change` to every string value inside, not to keys: templates look keys up.
template <class Change>
void ChangeStrings(Json& value, const Change& change) {
  if (value.is_string()) {
    value = change(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (auto& item : value) ChangeStrings(item, change);
  }
}

/// Everything that a rendering gets, read once.
struct Inputs {
  const std::vector<text::ChatMessage>& messages;
  Json tools;
  Json extra;
  bool add_generation_prompt;
};

/// String literals of the template that contain punctuation: what it may look for in messages.
std::vector<std::string> LiteralsOf(std::string_view source) {
  std::vector<std::string> literals;
  for (size_t at = 0; at < source.size(); ++at) {
    const char quote = source[at];
    if (quote != '\'' && quote != '"') continue;
    const size_t end = source.find(quote, at + 1);
    if (end == std::string_view::npos) break;
    const std::string_view literal = source.substr(at + 1, end - at - 1);
    const bool has_punctuation = std::any_of(literal.begin(), literal.end(), [](unsigned char c) {
      return c > ' ' && c < 0x7F && !isalnum(c) && c != '\\';
    });
    if (literal.size() >= 3 && literal.size() <= 64 && has_punctuation) {
      literals.emplace_back(literal);
    }
    at = end;
  }
  std::sort(literals.begin(), literals.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  literals.erase(std::unique(literals.begin(), literals.end()), literals.end());
  return literals;
}

class BridgedTemplate : public text::ChatTemplate {
 public:
  BridgedTemplate(std::string source, Jinja jinja, const text::Tokenizer& tokenizer)
      : source_(std::move(source)),
        jinja_(std::move(jinja)),
        tokens_(tokenizer.special_tokens()),
        literals_(LiteralsOf(source_)) {
    if (tokenizer.bos() >= 0) bos_ = tokenizer.TokenBytes(tokenizer.bos(), /*special=*/true);
    if (tokenizer.eos() >= 0) eos_ = tokenizer.TokenBytes(tokenizer.eos(), /*special=*/true);
    for (const std::string& text : tokens_.texts()) {
      const text::TokenId id = tokenizer.Find(text);
      is_control_.push_back(id < 0 || tokenizer.IsControl(id));
    }
  }

  Result<std::vector<text::PromptPiece>> Render(const std::vector<text::ChatMessage>& messages,
                                                const text::ChatOptions& options) const override {
    const Inputs inputs = TRY(Read(messages, options));
    std::vector<std::string_view> texts = {source_, options.tools_json, options.extra_json};
    for (const auto& message : messages) texts.push_back(message.content);
    const ContentMarks marks = TRY(ContentMarks::Choose(tokens_, texts));
    return SplitPrompt(tokens_, TRY(RenderMarked(inputs, marks)));
  }

 private:
  Result<Inputs> Read(const std::vector<text::ChatMessage>& messages,
                      const text::ChatOptions& options) const {
    for (const auto& message : messages) {
      const bool is_word =
          !message.role.empty() &&
          std::all_of(message.role.begin(), message.role.end(),
                      [](unsigned char c) { return isalnum(c) || c == '_' || c == '-'; });
      if (!is_word) {
        return Error(Code::kInvalidArgument,
                     "role \"{}\" of a message must be a word such as user or assistant",
                     message.role);
      }
    }
    Inputs inputs{messages, nullptr, Json::object(), options.add_generation_prompt};
    if (!options.tools_json.empty()) {
      inputs.tools = TRY(ParseJson(options.tools_json, "tools"));
      if (!inputs.tools.is_array()) return Error(Code::kInvalidArgument, "tools is not an array");
    }
    if (!options.extra_json.empty()) {
      inputs.extra = TRY(ParseJson(options.extra_json, "template variables"));
      if (!inputs.extra.is_object()) {
        return Error(Code::kInvalidArgument, "template variables are not a JSON object");
      }
    }
    for (const std::string_view name : kReserved) {
      if (inputs.extra.contains(name)) {
        return Error(Code::kInvalidArgument, "template variable {} cannot be set by a request",
                     name);
      }
    }
    return inputs;
  }

  /// Renders with `change` applied to everything that a caller wrote.
  template <class Change>
  Result<std::string> RenderChanged(const Inputs& inputs, const Change& change) const {
    Json variables = inputs.extra;
    ChangeStrings(variables, change);
    Json& messages = variables["messages"] = Json::array();
    for (const auto& message : inputs.messages) {
      messages.push_back({{"role", message.role}, {"content", change(message.content)}});
    }
    variables["tools"] = inputs.tools;
    ChangeStrings(variables["tools"], change);
    variables["documents"] = nullptr;
    variables["add_generation_prompt"] = inputs.add_generation_prompt;
    if (!bos_.empty()) variables["bos_token"] = bos_;
    if (!eos_.empty()) variables["eos_token"] = eos_;
    return jinja_.Render(variables.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  Result<Unmarked> RenderWith(const Inputs& inputs, const ContentMarks& marks, MarkLevel level,
                              std::span<const std::string> exempt) const {
    const std::string rendered = TRY(RenderChanged(
        inputs, [&](const std::string& text) { return marks.Mark(text, level, exempt); }));
    return marks.Unmark(rendered);
  }

  /// The text that the template gives for the messages as they are, with marks on what came from
  /// them (docs/adr/0004). A template that looks into messages may render marked ones differently;
  /// then fewer characters are marked, and at last marked text is preferred to an unsafe one.
  Result<Unmarked> RenderMarked(const Inputs& inputs, const ContentMarks& marks) const {
    const auto plain = RenderChanged(inputs, [](const std::string& text) { return text; });
    if (!plain && plain.error().code() != Code::kInvalidArgument) return Error(plain.error());
    if (plain) {
      auto all = RenderWith(inputs, marks, MarkLevel::kAll, {});
      if (all && all->text == *plain) return all;
    }
    auto safe = RenderWith(inputs, marks, MarkLevel::kPunctuation, {});
    // The template refuses messages for what looks like control tokens in them: marked, they are
    // harmless, and it accepts them.
    if (!plain) return safe ? std::move(safe) : Error(plain.error());
    if (!safe || safe->text == *plain) return safe;
    if (auto exempted = RenderExempting(inputs, marks, *plain)) {
      MarkUnexpected(tokens_, is_control_, *safe, *exempted);
      return std::move(*exempted);
    }
    // It transforms what it was given. That is harmless where no control token comes of it.
    Unmarked as_is{*plain, std::vector<bool>(plain->size(), false)};
    return MarkUnexpected(tokens_, is_control_, *safe, as_is) == 0 ? std::move(as_is)
                                                                   : std::move(safe);
  }

  /// A rendering that equals `plain` though all but a few of the literals that the template looks
  /// for are marked in messages; nothing where there is none.
  std::optional<Unmarked> RenderExempting(const Inputs& inputs, const ContentMarks& marks,
                                          std::string_view plain) const {
    std::vector<std::string> exempt;
    for (const std::string& literal : literals_) {
      const bool occurs =
          std::any_of(inputs.messages.begin(), inputs.messages.end(),
                      [&](const auto& m) { return m.content.find(literal) != std::string::npos; });
      if (occurs) exempt.push_back(literal);
    }
    if (exempt.empty() || exempt.size() > kMaxExempt) return std::nullopt;
    auto best = RenderWith(inputs, marks, MarkLevel::kPunctuation, exempt);
    if (!best || best->text != plain) return std::nullopt;
    // Each literal that need not be exempt is one that a message cannot write.
    for (size_t i = exempt.size(); i-- > 0;) {
      std::vector<std::string> fewer = exempt;
      fewer.erase(fewer.begin() + static_cast<int64_t>(i));
      auto rendered = RenderWith(inputs, marks, MarkLevel::kPunctuation, fewer);
      if (!rendered || rendered->text != plain) continue;
      best = std::move(rendered);
      exempt = std::move(fewer);
    }
    return std::move(*best);
  }

  const std::string source_;
  const Jinja jinja_;
  const SpecialTokens tokens_;
  std::vector<bool> is_control_;  ///< For each of tokens_.
  const std::vector<std::string> literals_;
  std::string bos_, eos_;
};

}  // namespace

Result<std::unique_ptr<text::ChatTemplate>> CreateChatTemplate(std::string source,
                                                               const text::Tokenizer& tokenizer) {
  Jinja jinja = TRY(Jinja::Compile(source));
  std::unique_ptr<text::ChatTemplate> result =
      std::make_unique<BridgedTemplate>(std::move(source), std::move(jinja), tokenizer);
  return result;
}

}  // namespace lamina::text_bridge
