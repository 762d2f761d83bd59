using System;
using System.Collections.Generic;

namespace MfaClient
{
    /// <summary>The second factors that a person has set up.</summary>
    public sealed class TwoFactorTypes
    {
        internal TwoFactorTypes(TwoFactorMethods methods, int count, int[] raw)
        {
            Methods = methods;
            Count = count;
            Raw = raw;
        }

        /// <summary>Their names, inferred from the provider's tables; <see cref="Raw"/> is what the server said.</summary>
        public TwoFactorMethods Methods { get; }

        /// <summary>How many the server listed; may exceed 16.</summary>
        public int Count { get; }

        /// <summary>The server's own numbers, in its order: the first 16.</summary>
        public IReadOnlyList<int> Raw { get; }

        internal static unsafe TwoFactorTypes From(Native.mfa_two_factor_types* native)
        {
            int[] raw = new int[Math.Min(native->count, 16)];
            for (int i = 0; i < raw.Length; i++)
            {
                raw[i] = native->raw[i];
            }
            return new TwoFactorTypes((TwoFactorMethods)native->methods, Numbers.ToInt(native->count), raw);
        }
    }

    /// <summary>Second factors. A newer library may set a bit that this version has no name for.</summary>
    [Flags]
    public enum TwoFactorMethods
    {
        /// <summary>None.</summary>
        None = 0,

        /// <summary>The Authenticator app.</summary>
        App = Native.MFA_METHOD_APP,

        /// <summary>A one-time password from an app.</summary>
        Totp = Native.MFA_METHOD_TOTP,

        /// <summary>A code by SMS.</summary>
        Sms = Native.MFA_METHOD_SMS,

        /// <summary>A code by e-mail.</summary>
        Email = Native.MFA_METHOD_EMAIL,

        /// <summary>A number that this version has no name for; see <see cref="TwoFactorTypes.Raw"/>.</summary>
        Other = Native.MFA_METHOD_OTHER,
    }

    internal static class Numbers
    {
        /// <summary>Counts that C# programs compute with; none that is true reaches the end of an int.</summary>
        internal static int ToInt(uint number) => (int)Math.Min(number, int.MaxValue);
    }
}
