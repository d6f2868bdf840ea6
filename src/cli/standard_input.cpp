#include "cli/standard_input.h"

#include <charconv>
#include <cstdio>

namespace lamina::cli {

Result<std::string> ReadStandardInput(uint64_t max_bytes) {
  std::string text;
  char buffer[65536];
  size_t n;
  while ((n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0) {
    text.append(buffer, n);
    if (text.size() > max_bytes) {
      return Error(Code::kResourceExhausted, "standard input is larger than {} bytes", max_bytes);
    }
  }
  if (std::ferror(stdin)) return Error(Code::kUnknown, "cannot read standard input");
  return text;
}

Result<std::vector<int32_t>> ParseIds(const std::string& text, int64_t n_vocab, const char* what) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::vector<int32_t> ids;
  for (size_t i = 0; i < text.size();) {
    if (is_space(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && !is_space(text[end])) ++end;
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + i, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end || id < 0 || id >= n_vocab) {
      return Error(Code::kInvalidArgument,
                   "{} has \"{}\" as id number {}; ids are whole numbers from 0 to {}", what,
                   text.substr(i, std::min<size_t>(end - i, 40)), ids.size() + 1, n_vocab - 1);
    }
    ids.push_back(id);
    i = end;
  }
  return ids;
}

}  // namespace lamina::cli
