// Result<T>: a value or a Status, never both; TRY passes an error on.
#pragma once

#include <fmt/core.h>

#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "base/status.h"

namespace lamina {

/// A value of T or a Status. Our own class, because discarding a plain expected draws no warning.
template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Status> {
 public:
  using Base = tl::expected<T, Status>;
  using Base::Base;

  Status status() const { return this->has_value() ? Status() : this->error(); }

  /// What TRY yields: the value moved out, nothing for Result<>. Only where there is one.
  T Take() && {
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }
};

/// An error whose message is formatted: `return Error(Code::kNotFound, "no model {}", name);`
template <class... Args>
tl::unexpected<Status> Error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Status>(Status(code, fmt::format(format, std::forward<Args>(args)...)));
}

/// An existing Status as an error.
inline tl::unexpected<Status> Error(Status status) {
  return tl::unexpected<Status>(std::move(status));
}

}  // namespace lamina

/// The value of an expression of type Result, or a return of its error from the current function.
/// A statement expression: GCC and clang.
#define TRY(...)                                                                       \
  ({                                                                                   \
    auto&& lamina_try_result = (__VA_ARGS__);                                          \
    if (!lamina_try_result.has_value())                                                \
      return ::tl::unexpected<::lamina::Status>(std::move(lamina_try_result).error()); \
    std::move(lamina_try_result).Take();                                               \
  })
