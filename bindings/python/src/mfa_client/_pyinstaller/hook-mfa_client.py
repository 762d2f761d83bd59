"""For PyInstaller: a program that imports mfa_client carries libmfa."""

from mfa_client._library import packaged

binaries = packaged("mfa")
