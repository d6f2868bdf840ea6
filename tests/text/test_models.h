// Where tests find the two real models.
#pragma once

#include <cstdlib>
#include <string>

namespace lamina::text {

inline std::string RealModelPath(const std::string& name) {
  const char* folder = std::getenv("LAMINA_TEST_MODELS");
  return (folder ? std::string(folder) : std::string(LAMINA_BINARY_DIR "/../models")) + "/" + name;
}

}  // namespace lamina::text
