// The program: parses the command line and runs one verb.
#pragma once

namespace lamina::cli {

/// The exit code: 0 done, 1 failed, 2 usage.
int Main(int argc, char** argv);

}  // namespace lamina::cli
