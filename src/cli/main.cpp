#include "cli/app.h"
#include "cli/heap.h"

int main(int argc, char** argv) {
  lamina::cli::UseHugePagesForHeap();
  return lamina::cli::Main(argc, argv);
}
