// How the program's heap gets its memory.
#pragma once

namespace lamina::cli {

/// Makes the first 32 MiB of the heap huge pages where the system grants them, and takes large
/// blocks from there too: a start touches some 3,000 pages of tables, which are then 10 page
/// faults. Call once, before anything else allocates much.
void UseHugePagesForHeap();

}  // namespace lamina::cli
