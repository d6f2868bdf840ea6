// Every weight type, in the order of the tables: quant/types/<name in lower case>.h defines
// struct lamina::quant::<name>. CMake reads the names from here and makes one unit per type, and
// one per type and CPU.
#pragma once

// clang-format off
#define LAMINA_QUANT_TYPES(X) \
  X(F32) \
  X(F16) \
  X(BF16) \
  X(Q4_0) \
  X(Q4_1) \
  X(Q5_0) \
  X(Q5_1) \
  X(Q8_0) \
  X(Q2_K) \
  X(Q3_K) \
  X(Q4_K) \
  X(Q5_K) \
  X(Q6_K) \
  X(IQ4_NL) \
  X(IQ4_XS) \
  X(MXFP4)
// clang-format on
