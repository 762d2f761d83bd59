# mfa::sandbox is the local provider with mfa_sandbox.h, for tests; mfaConfig.cmake reads this.
if(NOT TARGET mfa::sandbox)
  add_library(mfa::sandbox SHARED IMPORTED)
  set_target_properties(mfa::sandbox PROPERTIES
    IMPORTED_LOCATION "${_mfa_prefix}/lib/@LIBRARY@"
    IMPORTED_NO_SONAME TRUE
    INTERFACE_INCLUDE_DIRECTORIES "${_mfa_prefix}/include")
endif()
