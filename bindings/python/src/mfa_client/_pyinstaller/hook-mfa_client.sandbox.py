"""For PyInstaller: one that imports mfa_client.sandbox carries the sandbox, too, and no other does."""

from mfa_client._library import packaged

binaries = packaged("mfa_sandbox")
