using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;

namespace MfaClient
{
    /// <summary>How a client is set up. All of it is copied when the client is made; what is not set has its default.</summary>
    public sealed class MfaClientOptions
    {
        /// <summary>https://host[:port][/prefix]. Null: HyperID's production; required for Capillary, which has a host for each region.</summary>
        public string? BaseUrl { get; set; }

        /// <summary>Allow http:// to this machine alone, for a server such as the sandbox; the token is sent in clear.</summary>
        public bool AllowLoopbackHttp { get; set; }

        /// <summary>The longest that one exchange may take, and a call that names no timeout. Null: 30 seconds.</summary>
        public TimeSpan? RequestTimeout { get; set; }

        /// <summary>The longest that name, TCP and TLS of one connection may take together. Null: 10 seconds.</summary>
        public TimeSpan? ConnectTimeout { get; set; }

        /// <summary>One or more PEM certificates that are trusted in place of the built-in roots.</summary>
        public string? CaPem { get; set; }

        /// <summary>The certificate in PEM, and those that lead to its root, that the client shows (mutual TLS); together with <see cref="ClientKeyPem"/>.</summary>
        public string? ClientCertificatePem { get; set; }

        /// <summary>The private key of <see cref="ClientCertificatePem"/> in PEM.</summary>
        public string? ClientKeyPem { get; set; }

        /// <summary>An HTTP proxy that is asked to CONNECT: http://[user[:password]@]host[:port].</summary>
        public string? ProxyUrl { get; set; }

        /// <summary>Without a <see cref="ProxyUrl"/>, take the proxy from the environment, which is read once, when the client is made.</summary>
        public bool ProxyFromEnvironment { get; set; }

        /// <summary>Appended to libmfa's own User-Agent.</summary>
        public string? UserAgent { get; set; }

        /// <summary>Headers that are sent with every request in addition to libmfa's own, for a provider's installation that asks for them.</summary>
        public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>();

        /// <summary>The most idle connections that are kept. Null: 64.</summary>
        public int? MaxIdleConnections { get; set; }

        /// <summary>The most that is logged.</summary>
        public MfaLogLevel LogLevel { get; set; }

        /// <summary>
        /// Takes log lines, which hold no secrets. Called on the thread that called libmfa, perhaps on several at
        /// once, until the client is disposed. What it throws is dropped: a log changes no answer.
        /// </summary>
        public Action<MfaLogLevel, string>? Log { get; set; }

        internal unsafe delegate int Create(Native.mfa_client_options* options, out IntPtr client, Native.mfa_error* error);

        /// <summary>Makes a client, which <paramref name="handle"/> owns from then on.</summary>
        internal static unsafe THandle Open<THandle>(MfaClientOptions? options, THandle handle, Create create)
            where THandle : ClientHandle
        {
            Native.EnsureItFits();
            using var texts = new Texts();
            options ??= new MfaClientOptions();
            var native = options.ToNative(texts);
            var log = default(GCHandle);
            if (options.Log != null)
            {
                log = GCHandle.Alloc(options.Log);
                native.log = Callbacks.Log;
                native.log_user_data = GCHandle.ToIntPtr(log);
            }
            var error = new Native.mfa_error { struct_size = (uint)sizeof(Native.mfa_error) };
            int code = create(&native, out IntPtr client, &error);
            if (code == Native.MFA_OK)
            {
                handle.Take(client, log);
                return handle;
            }
            if (log.IsAllocated)
            {
                log.Free();
            }
            throw new MfaException(code, &error, null);
        }

        /// <summary>As the C interface takes them. What would become another header there is refused.</summary>
        private string? HeaderLines()
        {
            if (Headers.Any(header => header.Key.IndexOfAny(new[] { ':', '\n' }) >= 0 || header.Value.Contains("\n")))
            {
                throw new ArgumentException("A header's name has a colon, or a header has a line break.", nameof(Headers));
            }
            return Headers.Count == 0 ? null : string.Join("\n", Headers.Select(header => header.Key + ": " + header.Value));
        }

        private unsafe Native.mfa_client_options ToNative(Texts texts)
        {
            if (MaxIdleConnections < 0)
            {
                throw new ArgumentOutOfRangeException(nameof(MaxIdleConnections), MaxIdleConnections, "It is below zero.");
            }
            return new Native.mfa_client_options
            {
                struct_size = (uint)sizeof(Native.mfa_client_options),
                flags = (AllowLoopbackHttp ? (uint)Native.MFA_CLIENT_ALLOW_LOOPBACK_HTTP : 0)
                    | (ProxyFromEnvironment ? (uint)Native.MFA_CLIENT_PROXY_FROM_ENV : 0),
                base_url = texts.Pointer(BaseUrl, nameof(BaseUrl)),
                request_timeout_ms = Call.Milliseconds(RequestTimeout, nameof(RequestTimeout)),
                connect_timeout_ms = Call.Milliseconds(ConnectTimeout, nameof(ConnectTimeout)),
                ca_pem = texts.Pointer(CaPem, nameof(CaPem)),
                proxy_url = texts.Pointer(ProxyUrl, nameof(ProxyUrl)),
                user_agent = texts.Pointer(UserAgent, nameof(UserAgent)),
                max_idle_connections = (uint)(MaxIdleConnections ?? 0),
                log_level = (int)LogLevel,
                headers = texts.Pointer(HeaderLines(), nameof(Headers)),
                client_cert_pem = texts.Pointer(ClientCertificatePem, nameof(ClientCertificatePem)),
                client_key_pem = texts.Pointer(ClientKeyPem, nameof(ClientKeyPem)),
            };
        }
    }

    /// <summary>How much is logged.</summary>
    public enum MfaLogLevel
    {
        /// <summary>Nothing.</summary>
        Off = Native.MFA_LOG_OFF,

        /// <summary>What fails a call.</summary>
        Error = Native.MFA_LOG_ERROR,

        /// <summary>And what deserves a look: a connection in clear, a repeated request.</summary>
        Warn = Native.MFA_LOG_WARN,

        /// <summary>And what happens seldom.</summary>
        Info = Native.MFA_LOG_INFO,

        /// <summary>And one line for each request.</summary>
        Debug = Native.MFA_LOG_DEBUG,
    }
}
