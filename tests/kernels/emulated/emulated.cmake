# The vector kernels of CPUs that this one is not, against the scalar ones: AVX-512 over portable
# code (SIMDe), NEON under qemu where cross compiler and qemu are there.
set(vector_tests vector_test.cpp attention_test.cpp recurrent_test.cpp)
set(unit ${CMAKE_CURRENT_SOURCE_DIR}/emulated/unit.cpp)

# vector_unit(NAME TABLE PRIMITIVES OPTIONS...): unit.cpp as an object library over the header PRIMITIVES.
function(vector_unit name table primitives)
  add_library(${name} OBJECT ${unit})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE LAMINA_TABLE=${table} LAMINA_PRIMITIVES="${primitives}")
  target_compile_options(${name} PRIVATE -O2 ${ARGN})
  if(LAMINA_SANITIZE)
    target_compile_options(${name} PRIVATE -fno-sanitize=all)
  endif()
endfunction()

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  find_path(SIMDE_INCLUDE simde/x86/avx512.h)
  if(NOT SIMDE_INCLUDE)
    message(FATAL_ERROR "The tests need SIMDe: install libsimde-dev (tools/packages.txt).")
  endif()
  vector_unit(vector_unit_reference kReference kernels/isa/scalar_f32.h)
  # AVX2 only lets the compiler vectorise the portable code.
  vector_unit(vector_unit_avx512 kEmulated kernels/isa/avx512_bf16.h -DLAMINA_ROUNDED -mavx2 -mfma -Wno-psabi
              -I${CMAKE_CURRENT_SOURCE_DIR}/emulated)
  vector_unit(vector_unit_rounded kRounded avx2_bf16.h -DLAMINA_ROUNDED -mavx2 -mfma -mf16c)
  lamina_test(vector_avx512_test LABEL unit SOURCES ${vector_tests}
    LIBS vector_unit_avx512 vector_unit_reference)
  target_include_directories(vector_avx512_test PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(vector_avx512_test PRIVATE LAMINA_EMULATED)
  lamina_test(rounded_attention_test LABEL unit SOURCES rounded_attention_test.cpp
    LIBS vector_unit_avx512 vector_unit_rounded)
  target_include_directories(rounded_attention_test PRIVATE ${CMAKE_SOURCE_DIR}/src)

  find_program(CROSS_CXX NAMES aarch64-linux-gnu-g++ aarch64-linux-gnu-g++-12)
  find_program(QEMU NAMES qemu-aarch64 qemu-aarch64-static)
  if(CROSS_CXX AND QEMU AND EXISTS /usr/src/googletest/googletest/src/gtest-all.cc)
    set(sources ${vector_tests})
    list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    set(program ${CMAKE_CURRENT_BINARY_DIR}/vector_neon_test)
    set(flags -std=gnu++20 -O2 -ffp-contract=off -fno-math-errno -march=armv8.2-a+dotprod -I${CMAKE_SOURCE_DIR}/src
        -I${CMAKE_CURRENT_SOURCE_DIR} -isystem /usr/src/googletest/googletest/include)
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/*.h ${CMAKE_SOURCE_DIR}/src/kernels/generic/*.h
         ${CMAKE_SOURCE_DIR}/src/kernels/isa/*_f32.h ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
    add_custom_command(OUTPUT ${program} DEPENDS ${sources} ${unit} ${headers}
      COMMAND ${CROSS_CXX} ${flags} "-DLAMINA_TABLE=kEmulated" "-DLAMINA_PRIMITIVES=\"kernels/isa/neon_f32.h\""
              -c ${unit} -o ${program}.neon.o
      COMMAND ${CROSS_CXX} ${flags} "-DLAMINA_TABLE=kReference" "-DLAMINA_PRIMITIVES=\"kernels/isa/scalar_f32.h\""
              -c ${unit} -o ${program}.scalar.o
      COMMAND ${CROSS_CXX} ${flags} -static -DLAMINA_EMULATED -I/usr/src/googletest/googletest ${sources}
              /usr/src/googletest/googletest/src/gtest-all.cc /usr/src/googletest/googletest/src/gtest_main.cc
              ${program}.neon.o ${program}.scalar.o -o ${program}
      COMMENT "Cross-building the NEON vector kernels" VERBATIM)
    add_custom_target(vector_neon_program ALL DEPENDS ${program})
    # Under qemu the long tests would take minutes; these cover every function and bit.
    add_test(NAME vector_neon_test COMMAND ${QEMU} -cpu max ${program}
      --gtest_filter=Vector.*:Conv.*:Attention.EveryCpuGivesTheScalarBits:Delta.EveryCpu*:Delta.ShortSteps*)
    set_tests_properties(vector_neon_test PROPERTIES LABELS unit TIMEOUT 300)
  else()
    message(STATUS "NEON kernels are not tested: no aarch64 cross compiler, qemu or GoogleTest sources")
  endif()
endif()
