using System;
using System.Globalization;

namespace MfaClient
{
    /// <summary>The native library itself.</summary>
    public static unsafe class MfaLibrary
    {
        /// <summary>The version of the loaded library, for example "0.1.0".</summary>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public static string Version
        {
            get
            {
                Native.EnsureItFits();
                return Utf8.Read(Native.mfa_version());
            }
        }

        /// <summary>The name of a code, for example "TokenExpired". A number that this version does not know is looked up in the library.</summary>
        public static string NameOf(MfaErrorCode code)
        {
            if (Names.OfCode(code) is { } known)
            {
                return known;
            }
            string number = ((int)code).ToString(CultureInfo.InvariantCulture);
            string? inC = FromTheLibrary(code, Native.mfa_code_name);
            return inC == null || inC.EndsWith("?", StringComparison.Ordinal) ? number : Names.Camel(inC);
        }

        /// <summary>What a code means and what to do about it, in English. A number that this version does not know is looked up in the library.</summary>
        public static string MessageOf(MfaErrorCode code) =>
            Names.MessageOfCode(code)
            ?? (FromTheLibrary(code, Native.mfa_code_message) is { } text ? Names.InCSharp(text, Native.MFA_PROVIDER_NONE) : null)
            ?? "A code that this version does not know. Treat it as a failure.";

        /// <summary>
        /// Two random digits, from a cryptographic source: show them beside the question, and give them as
        /// <see cref="MfaRequest.ControlCode"/>, so that the person can compare them.
        /// </summary>
        /// <exception cref="DllNotFoundException">The native library was not found, or does not fit this binding.</exception>
        public static string NewControlCode()
        {
            Native.EnsureItFits();
            var error = Native.mfa_error.Initial;
            byte[] digits = new byte[8];
            int code = Native.mfa_control_code(digits, (uint)digits.Length, &error);
            if (code != Native.MFA_OK)
            {
                throw MfaException.For(code, &error, null, default);
            }
            fixed (byte* text = digits)
            {
                return Utf8.Read(text, digits.Length);
            }
        }

        /// <summary>Null: there is no library to ask, as in tests that use doubles alone.</summary>
        private static string? FromTheLibrary(MfaErrorCode code, Func<int, IntPtr> ask)
        {
            try
            {
                Native.EnsureItFits();
                return Utf8.Read(ask((int)code));
            }
            catch (DllNotFoundException)
            {
                return null;
            }
        }
    }
}
