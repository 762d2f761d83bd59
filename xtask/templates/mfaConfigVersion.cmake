# Before 1.0.0 a new minor version may change the interface, so only the same one is compatible.
set(PACKAGE_VERSION "@VERSION@")

string(REGEX MATCH "^[0-9]+\\.[0-9]+" _mfa_have "${PACKAGE_VERSION}")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _mfa_want "${PACKAGE_FIND_VERSION}.0")

if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION OR NOT _mfa_have STREQUAL _mfa_want)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()

unset(_mfa_have)
unset(_mfa_want)
