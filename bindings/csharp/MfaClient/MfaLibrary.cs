namespace MfaClient
{
    /// <summary>The native library itself.</summary>
    public static unsafe class MfaLibrary
    {
        /// <summary>The version of the loaded library, for example "0.1.0".</summary>
        public static string Version => Utf8.Read(Native.mfa_version());

        /// <summary>The name of a code, for example "MFA_ERR_TIMEOUT".</summary>
        public static string NameOf(MfaCode code) => Utf8.Read(Native.mfa_code_name((int)code));

        /// <summary>What a code means and what to do about it, in English.</summary>
        public static string MessageOf(MfaCode code) => Utf8.Read(Native.mfa_code_message((int)code));

        /// <summary>
        /// Two random digits, from a cryptographic source: show them beside the question, and give them as
        /// <see cref="MfaRequest.Code"/>, so that the person can compare them.
        /// </summary>
        public static string NewControlCode()
        {
            Native.EnsureItFits();
            var error = new Native.mfa_error { struct_size = (uint)sizeof(Native.mfa_error) };
            byte[] digits = new byte[8];
            int code = Native.mfa_control_code(digits, (uint)digits.Length, &error);
            if (code != Native.MFA_OK)
            {
                throw new MfaException(code, &error, null);
            }
            fixed (byte* text = digits)
            {
                return Utf8.Read(text, digits.Length);
            }
        }
    }
}
