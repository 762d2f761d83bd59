using System;
using System.Collections.Generic;

namespace MfaClient.Testing
{
    /// <summary>How a <see cref="Sandbox"/> is started. All of it is copied; what is not set has its default.</summary>
    public sealed class SandboxOptions
    {
        /// <summary>The port; 0, the default: any free one.</summary>
        public int Port { get; set; }

        /// <summary>https, with a certification authority of its own: see <see cref="Sandbox.CaPem"/>.</summary>
        public bool Tls { get; set; }

        /// <summary>Listens on every interface, to use a real phone; the phone page's address then holds a secret.</summary>
        public bool Lan { get; set; }

        /// <summary>Capillary's codes under the HTTP status as well.</summary>
        public bool CapillaryHttpStatus { get; set; }

        /// <summary>
        /// Refuses what HyperID's own clients send beside its documentation. Otherwise that is taken, and the answer's header
        /// Sandbox-Unusual says what it was.
        /// </summary>
        public bool Strict { get; set; }

        /// <summary>A line on the standard error for each request.</summary>
        public bool Log { get; set; }

        /// <summary>The first transaction's id, at most 2 to the 62nd; the next ones follow. Null: one that 32 bits cannot hold.</summary>
        public long? FirstId { get; set; }

        /// <summary>How long a request waits for the person. Null: 120 seconds.</summary>
        public TimeSpan? Life { get; set; }

        /// <summary>How long a connection may be idle. Null: 60 seconds.</summary>
        public TimeSpan? IdleTimeout { get; set; }

        /// <summary>
        /// Any token that nobody has issued is this person's, who is asked on the page. One that is shaped as a JWT is that of
        /// the person whom its "sub" names, and good until its "exp"; its signature is not looked at. Null: such a token is
        /// invalid.
        /// </summary>
        public string? AnyToken { get; set; }

        /// <summary>
        /// The web pages that may call the providers' paths (CORS), as in "http://localhost:3000"; never the phone page. Null:
        /// none.
        /// </summary>
        public IEnumerable<string>? AllowOrigins { get; set; }

        /// <summary>
        /// The key of the interface for tests over HTTP, 16 to 128 visible characters. Null: another one in every run.
        /// </summary>
        public string? ControlKey { get; set; }

        /// <summary>Starts a sandbox.</summary>
        /// <exception cref="InvalidOperationException">It could not be started; the message says why.</exception>
        internal static unsafe SandboxHandle Open(SandboxOptions options)
        {
            using var texts = new Texts();
            var native = new SandboxNative.mfa_sandbox_options
            {
                struct_size = (uint)sizeof(SandboxNative.mfa_sandbox_options),
                flags = (options.Tls ? SandboxNative.MFA_SANDBOX_TLS : 0)
                    | (options.Lan ? SandboxNative.MFA_SANDBOX_LAN : 0)
                    | (options.CapillaryHttpStatus ? SandboxNative.MFA_SANDBOX_CAPILLARY_HTTP_STATUS : 0)
                    | (options.Strict ? SandboxNative.MFA_SANDBOX_STRICT : 0)
                    | (options.Log ? SandboxNative.MFA_SANDBOX_LOG : 0),
                port = options.Port is >= 0 and <= 65535
                    ? (uint)options.Port
                    : throw new ArgumentOutOfRangeException(nameof(options), options.Port, "Port is from 0 to 65535."),
                life_ms = Time.Milliseconds(options.Life, nameof(options), nameof(Life)),
                idle_timeout_ms = Time.Milliseconds(options.IdleTimeout, nameof(options), nameof(IdleTimeout)),
                first_id = Values.FirstId(options.FirstId, nameof(options)),
                any_token = texts.Pointer(options.AnyToken, nameof(options), nameof(AnyToken)),
                allow_origins = texts.Pointer(
                    Values.Joined(options.AllowOrigins, ' ', nameof(AllowOrigins)), nameof(options), nameof(AllowOrigins)),
                control_key = texts.Pointer(options.ControlKey, nameof(options), nameof(ControlKey)),
            };
            byte[] why = new byte[Values.LongestReason];
            var handle = new SandboxHandle(SandboxNative.mfa_sandbox_new_why(&native, why, (uint)why.Length));
            return handle.IsInvalid
                ? throw new InvalidOperationException("The sandbox could not be started: " + Values.Read(why))
                : handle;
        }
    }
}
