# mfa::mfa is the DLL; mfa::static the archive, for mingw's compilers alone. Paths are relative to this file,
# so the install tree can be moved. The DLL goes beside the program: $<TARGET_FILE:mfa::mfa> names it.
get_filename_component(_mfa_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET mfa::mfa)
  add_library(mfa::mfa SHARED IMPORTED)
  set_target_properties(mfa::mfa PROPERTIES
    IMPORTED_LOCATION "${_mfa_prefix}/bin/mfa.dll"
    INTERFACE_INCLUDE_DIRECTORIES "${_mfa_prefix}/include")
  if(MINGW)
    set_target_properties(mfa::mfa PROPERTIES IMPORTED_IMPLIB "${_mfa_prefix}/lib/libmfa.dll.a")
  else()
    set_target_properties(mfa::mfa PROPERTIES IMPORTED_IMPLIB "${_mfa_prefix}/lib/mfa.lib")
  endif()
endif()

if(MINGW AND NOT TARGET mfa::static)
  add_library(mfa::static STATIC IMPORTED)
  set_target_properties(mfa::static PROPERTIES
    IMPORTED_LOCATION "${_mfa_prefix}/lib/libmfa.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_mfa_prefix}/include"
    INTERFACE_LINK_LIBRARIES "@NATIVE_LIBS_LIST@")
endif()

unset(_mfa_prefix)
