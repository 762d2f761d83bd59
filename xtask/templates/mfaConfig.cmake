# mfa::mfa is the shared library, mfa::static the archive. Paths are relative to this file, so the
# install tree can be moved.
get_filename_component(_mfa_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET mfa::mfa)
  add_library(mfa::mfa SHARED IMPORTED)
  set_target_properties(mfa::mfa PROPERTIES
    IMPORTED_LOCATION "${_mfa_prefix}/lib/@SHARED_FULL@"
    IMPORTED_SONAME "@SHARED_LOADED@"
    INTERFACE_INCLUDE_DIRECTORIES "${_mfa_prefix}/include")
endif()

if(NOT TARGET mfa::static)
  add_library(mfa::static STATIC IMPORTED)
  set_target_properties(mfa::static PROPERTIES
    IMPORTED_LOCATION "${_mfa_prefix}/lib/libmfa.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_mfa_prefix}/include"
    INTERFACE_LINK_LIBRARIES "@NATIVE_LIBS_LIST@")
endif()

# A release has it, and `cargo xtask dist --prefix DIR --sandbox` adds it.
include("${CMAKE_CURRENT_LIST_DIR}/mfaSandbox.cmake" OPTIONAL)

unset(_mfa_prefix)
