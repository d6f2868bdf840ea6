// A global operator new that counts, and can be made to fail.
#pragma once

#include <cstdint>

namespace lamina::format {

/// Starts measuring anew: PeakBytes is 0.
void ResetPeak();
/// The most bytes allocated at one time since ResetPeak, beyond those at ResetPeak.
int64_t PeakBytes();
/// Bytes allocated now.
int64_t CurrentBytes();

/// The n-th allocation from now on (0: the next) throws std::bad_alloc; `forever`: all after it
/// too.
void FailAllocation(int64_t n, bool forever);
/// Ends failing; true if an allocation has failed.
bool StopFailing();

}  // namespace lamina::format
