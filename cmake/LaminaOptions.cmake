# Compiler settings shared by every target, and the helper that makes one library per folder.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)  # TRY is a statement expression
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
option(LAMINA_BENCH "Build the microbenchmarks" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  # The base folder makes paths relative, so that clones in other folders share the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -ffp-contract=off -fno-math-errno
                    -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(LAMINA_SANITIZE)
  add_compile_options(-fsanitize=${LAMINA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${LAMINA_SANITIZE})
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")

# Fuzz targets: clang alone has libFuzzer; its own coverage shows which lines a run has reached.
option(LAMINA_FUZZ "Build the fuzz targets (clang)" OFF)
if(LAMINA_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "LAMINA_FUZZ needs clang: cmake --preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)

# Counters in the libraries alone: kernel units and tests are those of a release build, from the compiler cache.
option(LAMINA_COVERAGE "Count executed lines of src/ (GCC)" OFF)
if(LAMINA_COVERAGE)
  add_link_options(--coverage)
endif()

# lamina_library(NAME DEPENDS...): the sources of src/NAME (this folder and below), one static library lamina_NAME.
function(lamina_library name)
  file(GLOB_RECURSE sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "^isa/")  # one unit per CPU, with flags of its own
  list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  if(NOT sources)
    set(sources ${CMAKE_SOURCE_DIR}/cmake/empty.cpp)
  endif()
  add_library(lamina_${name} STATIC ${sources})
  target_include_directories(lamina_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  if(LAMINA_COVERAGE)
    target_compile_options(lamina_${name} PRIVATE --coverage -O1)
  endif()
  foreach(dependency ${ARGN})
    target_link_libraries(lamina_${name} PUBLIC ${dependency})
  endforeach()
endfunction()

# lamina_test(NAME LABEL SOURCES... LIBS ...): one GoogleTest program, one ctest entry.
# LAMINA_TEST_LABELS, a regular expression, leaves programs of other labels out of the build.
set(LAMINA_TEST_LABELS "." CACHE STRING "Labels of the tests to build")
function(lamina_test name)
  cmake_parse_arguments(T "" "LABEL;TIMEOUT" "SOURCES;LIBS;ARGS" ${ARGN})
  if(NOT T_LABEL MATCHES "${LAMINA_TEST_LABELS}")
    return()
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 900)  # A machine busy with other things may take several times as long as an idle one.
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_LIBS} lamina_test_paths GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} ${T_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${T_LABEL}" TIMEOUT ${T_TIMEOUT})
endfunction()

# lamina_fuzz(NAME SOURCES... LIBS... SEEDS folder COVERS regex): a libFuzzer target; nothing without LAMINA_FUZZ.
# SEEDS: first inputs. COVERS: the source files whose reached lines tools/fuzz.sh reports.
function(lamina_fuzz name)
  if(NOT LAMINA_FUZZ)
    return()
  endif()
  cmake_parse_arguments(F "" "SEEDS;COVERS" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${F_SOURCES})
  target_link_libraries(${name} PRIVATE ${F_LIBS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/fuzz/${name}.target CONTENT "${F_SEEDS}\n${F_COVERS}\n")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  add_dependencies(fuzz_targets ${name})
endfunction()
if(LAMINA_FUZZ)
  add_custom_target(fuzz_targets)
endif()
