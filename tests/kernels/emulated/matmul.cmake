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
    set(cross_flags -std=gnu++20 -O1 -ffp-contract=off -fno-math-errno -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_CURRENT_SOURCE_DIR}
        -isystem /usr/src/googletest/googletest/include -I/usr/src/googletest/googletest)

    # cross_objects(OUT FOLDER SOURCES OPTIONS...): aarch64 objects. lamina_kernels stands for the headers that these
    # commands do not list.
    function(cross_objects out folder sources)
      set(objects "")
      foreach(source ${sources})
        cmake_path(GET source STEM stem)
        set(object ${CMAKE_CURRENT_BINARY_DIR}/${folder}/${stem}.o)
        add_custom_command(OUTPUT ${object} DEPENDS ${source} lamina_kernels
          COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/${folder}
          COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CROSS_CXX} ${cross_flags} ${ARGN} -c ${source} -o ${object}
          COMMENT "Cross-building ${stem}" VERBATIM)
        list(APPEND objects ${object})
      endforeach()
      set(${out} ${objects} PARENT_SCOPE)
    endfunction()

    set(checksum ${CMAKE_SOURCE_DIR}/src/base/checksum.cpp)  # what lamina_quant takes from lamina_base
    set(gtest /usr/src/googletest/googletest/src/gtest-all.cc)
    set(gtest_main /usr/src/googletest/googletest/src/gtest_main.cc)
    emulated_units(scalar_units scalar scalar "")
    get_target_property(quant_sources lamina_quant SOURCES)
    cross_objects(common cross_objects "${scalar_units};${quant_sources};${checksum};${gtest};${gtest_main}" -march=armv8.2-a)

    # cross_test(CPU MARCH): isa/CPU.cpp against scalar.
    function(cross_test cpu march)
      set(name matmul_${cpu}_test)
      emulated_units(units ${name} ${cpu} "")
      cross_objects(objects ${name}_objects "${units};${CMAKE_CURRENT_SOURCE_DIR}/emulated/matmul_emulated_test.cpp"
                    -march=${march} -DLAMINA_EMULATED_ISA=${name})
      set(program ${CMAKE_CURRENT_BINARY_DIR}/${name})
      add_custom_command(OUTPUT ${program} DEPENDS ${objects} ${common}
        COMMAND ${CROSS_CXX} -static ${objects} ${common} -o ${program} VERBATIM)
      add_custom_target(${name}_program ALL DEPENDS ${program})
      add_test(NAME ${name} COMMAND ${QEMU} -cpu max ${program})
      set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
    endfunction()
    cross_test(neon armv8.2-a+dotprod)
    cross_test(neon_i8mm armv8.2-a+dotprod+i8mm)
  endif()
endif()
