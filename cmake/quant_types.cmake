# LAMINA_QUANT_TYPES: the names listed in src/quant/all_types.h. A new name makes CMake run again.
set(all_types_header ${CMAKE_SOURCE_DIR}/src/quant/all_types.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${all_types_header})
file(READ ${all_types_header} all_types)
string(REGEX MATCHALL "X\\([A-Z0-9_]+\\)" LAMINA_QUANT_TYPES "${all_types}")
list(TRANSFORM LAMINA_QUANT_TYPES REPLACE "X\\((.*)\\)" "\\1")
