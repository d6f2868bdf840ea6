#include "cli/app.h"

int main(int argc, char** argv) { return lamina::cli::Main(argc, argv); }
