using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace MfaClient.Testing
{
    /// <summary>A person of the sandbox's. All of it is copied when the person is added; what is not set has its default.</summary>
    public sealed class SandboxUser
    {
        /// <summary>Has linked the authenticator app. Left alone: yes.</summary>
        public bool IsAppLinked { get; set; } = true;

        /// <summary>HyperID's second factors, as numbers; an empty list: none. Null: 0 and 3.</summary>
        public IEnumerable<int>? Methods { get; set; }

        /// <summary>The registered devices. Null, or an empty list: any device is known.</summary>
        public IEnumerable<string>? Devices { get; set; }

        /// <summary>MFA is registered at Capillary. Left alone: yes.</summary>
        public bool IsRegistered { get; set; } = true;

        /// <summary>
        /// What would follow "sandbox-", as in "deny-after-500", without a person. Without a decision in it, and if it is null,
        /// the person is asked on the page.
        /// </summary>
        public string? Behaviour { get; set; }

        internal static unsafe int Add(SandboxHandle sandbox, byte[] name, SandboxUser user)
        {
            using var texts = new Texts();
            string? methods = user.Methods == null
                ? null
                : string.Join(",", user.Methods.Select(method => method.ToString(CultureInfo.InvariantCulture)));
            var native = new SandboxNative.mfa_sandbox_user
            {
                struct_size = (uint)sizeof(SandboxNative.mfa_sandbox_user),
                flags = (user.IsAppLinked ? 0 : SandboxNative.MFA_SANDBOX_USER_NO_APP)
                    | (user.IsRegistered ? 0 : SandboxNative.MFA_SANDBOX_USER_NOT_REGISTERED),
                methods = texts.Pointer(methods?.Length == 0 ? "none" : methods, nameof(user), nameof(Methods)),
                devices = texts.Pointer(Values.Joined(user.Devices, '\n', nameof(Devices)), nameof(user), nameof(Devices)),
                behaviour = texts.Pointer(user.Behaviour, nameof(user), nameof(Behaviour)),
            };
            return SandboxNative.mfa_sandbox_add_user(sandbox, name, &native);
        }
    }
}
