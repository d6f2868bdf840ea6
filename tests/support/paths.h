// Where the checkout and the build are, for tests. Only paths.cpp is compiled with the folders'
// names, so that the compiler cache serves every test to clones in other folders.
#pragma once

#include <string>

namespace lamina::checkout {

/// The root of the checkout.
std::string SourceFolder();
/// The root of the build.
std::string BinaryFolder();
/// A real model by file name: in $LAMINA_TEST_MODELS, else in build/models (`make models`).
std::string ModelPath(const std::string& file_name);

}  // namespace lamina::checkout
