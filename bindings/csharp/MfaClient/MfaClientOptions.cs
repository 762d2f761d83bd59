using System;
using System.Collections.Generic;

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

        /// <summary>The most idle connections that are kept, at least one. Null: 64.</summary>
        public int? MaxIdleConnections { get; set; }

        /// <summary>
        /// The most connections that the asynchronous waits of one client (<see cref="HyperIdClient.ConfirmAsync"/>,
        /// <see cref="HyperIdClient.WaitAsync"/>) have open at once, at least one. Requests beyond wait their turn, starts before
        /// polls. Null: 256.
        /// </summary>
        public int? MaxConnections { get; set; }

        /// <summary>The most requests of all those waits together in a second, at least one; then an answer may be noticed later. Null: no limit.</summary>
        public int? MaxRequestsPerSecond { get; set; }

        /// <summary>The most that <see cref="Log"/> is told. Left alone: warnings and worse.</summary>
        public MfaLogLevel LogLevel { get; set; } = MfaLogLevel.Warn;

        /// <summary>
        /// Takes log lines, which hold no secrets. Called on the thread that called libmfa, perhaps on several at
        /// once, and on the one that carries all asynchronous waits: be quick. Called until the client is disposed or
        /// collected: it does not keep the client alive, whatever it reaches. What it throws is dropped: a log changes no
        /// answer.
        /// </summary>
        public Action<MfaLogLevel, string>? Log { get; set; }

        /// <summary>Makes a client, which <paramref name="handle"/> owns from then on.</summary>
        internal static unsafe THandle Open<THandle>(MfaClientOptions options, THandle handle)
            where THandle : ClientHandle
        {
            using var texts = new Texts();
            var native = options.ToNative(texts, nameof(options));
            Native.EnsureItFits();
            var error = Native.mfa_error.Initial;
            int code = handle.Open(&native, options.Log, &error);
            return code == Native.MFA_OK ? handle : throw MfaException.For(code, &error, null, default);
        }

        /// <summary>As the C interface takes them. What would become another header there is refused.</summary>
        private string? HeaderLines(string parameter)
        {
            var lines = new List<string>();
            foreach (var header in Headers)
            {
                if (header.Value == null)
                {
                    throw new ArgumentException($"Headers: {header.Key} has no value.", parameter);
                }
                string line = header.Key + ": " + header.Value;
                if (header.Key.IndexOf(':') >= 0 || line.IndexOf('\n') >= 0)
                {
                    throw new ArgumentException("Headers: a name has a colon, or a header has a line break.", parameter);
                }
                lines.Add(line);
            }
            return lines.Count == 0 ? null : string.Join("\n", lines);
        }

        /// <summary>Of the waiter that carries a client's asynchronous waits.</summary>
        internal Native.mfa_waiter_options ForWaits(string parameter)
        {
            var native = Native.mfa_waiter_options.Initial;
            native.max_connections = AtLeastOne(MaxConnections, parameter, nameof(MaxConnections));
            native.max_requests_per_second = AtLeastOne(MaxRequestsPerSecond, parameter, nameof(MaxRequestsPerSecond));
            return native;
        }

        /// <summary>Null is C's 0, "the default"; so that 0 is not taken for it.</summary>
        private static uint AtLeastOne(int? number, string parameter, string property) => number < 1
            ? throw new ArgumentOutOfRangeException(parameter, number, property + " is below one.")
            : (uint)(number ?? 0);

        private unsafe Native.mfa_client_options ToNative(Texts texts, string parameter)
        {
            if (LogLevel < MfaLogLevel.Off || LogLevel > MfaLogLevel.Debug)
            {
                throw new ArgumentOutOfRangeException(parameter, LogLevel, "LogLevel is none of the levels.");
            }
            var native = Native.mfa_client_options.Initial;
            native.flags = (AllowLoopbackHttp ? (uint)Native.MFA_CLIENT_ALLOW_LOOPBACK_HTTP : 0)
                | (ProxyFromEnvironment ? (uint)Native.MFA_CLIENT_PROXY_FROM_ENV : 0);
            native.base_url = texts.Pointer(BaseUrl, parameter, nameof(BaseUrl));
            native.request_timeout_ms = Time.Milliseconds(RequestTimeout, parameter, nameof(RequestTimeout));
            native.connect_timeout_ms = Time.Milliseconds(ConnectTimeout, parameter, nameof(ConnectTimeout));
            native.ca_pem = texts.Pointer(CaPem, parameter, nameof(CaPem));
            native.proxy_url = texts.Pointer(ProxyUrl, parameter, nameof(ProxyUrl));
            native.user_agent = texts.Pointer(UserAgent, parameter, nameof(UserAgent));
            native.max_idle_connections = AtLeastOne(MaxIdleConnections, parameter, nameof(MaxIdleConnections));
            native.log_level = (int)(Log == null ? MfaLogLevel.Off : LogLevel);
            native.headers = texts.Pointer(HeaderLines(parameter), parameter, nameof(Headers));
            native.client_cert_pem = texts.Pointer(ClientCertificatePem, parameter, nameof(ClientCertificatePem));
            native.client_key_pem = texts.Pointer(ClientKeyPem, parameter, nameof(ClientKeyPem));
            return native;
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
