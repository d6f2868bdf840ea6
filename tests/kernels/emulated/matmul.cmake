# The matrix products of CPUs that this one is not: AVX-512 over portable code, AVX-VNNI over AVX2,
# NEON under qemu (minutes to build, so only on request). A unit per type, as in src/kernels.

# emulated_units(OUT NAME SOURCE PRELUDE): generated units of isa/SOURCE.cpp, symbols named NAME.
function(emulated_units out name source prelude)
  set(units "")
  foreach(type ${LAMINA_QUANT_TYPES})
    string(TOLOWER ${type} header)
    set(unit ${CMAKE_CURRENT_BINARY_DIR}/${name}_${header}.cpp)
    file(CONFIGURE OUTPUT ${unit} @ONLY CONTENT [[
#define LAMINA_ISA @name@
#define LAMINA_UNIT_TYPE @type@
#define LAMINA_EMULATED
@prelude@
#include "quant/types/@header@.h"

#include "kernels/isa/@source@.cpp"
]])
    list(APPEND units ${unit})
  endforeach()
  set(${out} ${units} PARENT_SCOPE)
endfunction()

# emulated_test(NAME UNITS OPTIONS...): units and the comparison with scalar as a test.
function(emulated_test name units)
  add_library(${name}_units OBJECT ${units})
  target_include_directories(${name}_units PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(${name}_units PRIVATE ${ARGN})
  if(LAMINA_SANITIZE)
    target_compile_options(${name}_units PRIVATE -fno-sanitize=all)
  endif()
  lamina_test(${name} LABEL unit SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/emulated/matmul_emulated_test.cpp
              LIBS lamina_kernels ${name}_units)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE LAMINA_EMULATED_ISA=${name})
endfunction()

include(${CMAKE_SOURCE_DIR}/cmake/quant_types.cmake)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  emulated_units(units matmul_avxvnni_test avxvnni "#include \"${CMAKE_CURRENT_SOURCE_DIR}/emulated/avxvnni.h\"")
  emulated_test(matmul_avxvnni_test "${units}" -O1 -mavx2 -mfma -mf16c)

  emulated_units(units matmul_avx512_test avx512vnni "")
  emulated_test(matmul_avx512_test "${units}" -O1 -mavx2 -mfma -Wno-psabi
                -I${CMAKE_CURRENT_SOURCE_DIR}/emulated)

  option(LAMINA_CROSS_TESTS "Cross-build the NEON matrix products and run them under qemu" OFF)
  if(LAMINA_CROSS_TESTS AND CROSS_CXX AND QEMU AND EXISTS /usr/src/googletest/googletest/src/gtest-all.cc)
    emulated_units(neon_units matmul_neon_test neon "")
    emulated_units(scalar_units scalar scalar "")
    set(flags -std=gnu++20 -O1 -ffp-contract=off -fno-math-errno -march=armv8.2-a+dotprod
        -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_CURRENT_SOURCE_DIR} -isystem /usr/src/googletest/googletest/include
        -I/usr/src/googletest/googletest)
    get_target_property(quant_sources lamina_quant SOURCES)
    set(objects "")
    # lamina_kernels stands for the headers that these commands do not list.
    foreach(source ${neon_units} ${scalar_units} ${quant_sources}
            ${CMAKE_CURRENT_SOURCE_DIR}/emulated/matmul_emulated_test.cpp
            /usr/src/googletest/googletest/src/gtest-all.cc /usr/src/googletest/googletest/src/gtest_main.cc)
      cmake_path(GET source STEM stem)
      set(object ${CMAKE_CURRENT_BINARY_DIR}/neon_objects/${stem}.o)
      add_custom_command(OUTPUT ${object} DEPENDS ${source} lamina_kernels
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/neon_objects
        COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CROSS_CXX} ${flags} -DLAMINA_EMULATED_ISA=matmul_neon_test
                -c ${source} -o ${object}
        COMMENT "Cross-building ${stem}" VERBATIM)
      list(APPEND objects ${object})
    endforeach()
    set(program ${CMAKE_CURRENT_BINARY_DIR}/matmul_neon_test)
    add_custom_command(OUTPUT ${program} DEPENDS ${objects}
      COMMAND ${CROSS_CXX} -static ${objects} -o ${program} VERBATIM)
    add_custom_target(matmul_neon_program ALL DEPENDS ${program})
    add_test(NAME matmul_neon_test COMMAND ${QEMU} -cpu max ${program})
    set_tests_properties(matmul_neon_test PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endif()
