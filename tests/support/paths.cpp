#include "tests/support/paths.h"

#include <cstdlib>

namespace lamina::checkout {

std::string SourceFolder() { return LAMINA_SOURCE_DIR; }

std::string BinaryFolder() { return LAMINA_BINARY_DIR; }

std::string ModelPath(const std::string& file_name) {
  const char* folder = std::getenv("LAMINA_TEST_MODELS");
  return (folder != nullptr ? std::string(folder) : BinaryFolder() + "/../models") + "/" +
         file_name;
}

}  // namespace lamina::checkout
