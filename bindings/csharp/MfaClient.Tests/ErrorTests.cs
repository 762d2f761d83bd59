using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using MfaClient.Testing;

namespace MfaClient.Tests
{
    public static class ErrorTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private const string Person = "sandbox-phone";

        /// <summary>Codes that nothing done through this binding brings about, and why.</summary>
        private static readonly Dictionary<MfaCode, string> OutOfReach = new Dictionary<MfaCode, string>
        {
            [MfaCode.StructSize] = "the binding sets the sizes",
            [MfaCode.InvalidUtf8] = "the binding encodes, and refuses what it cannot encode",
            [MfaCode.Internal] = "a defect of the library",
        };

        private static readonly Dictionary<MfaCode, Func<Sandbox, MfaException>> Ways =
            new Dictionary<MfaCode, Func<Sandbox, MfaException>>
            {
                // The caller.
                [MfaCode.InvalidArgument] = With(client => client.IsAvailable("a token with blanks")),
                [MfaCode.NullPointer] = With(client => client.IsAvailable(null!)),
                [MfaCode.InvalidUrl] = Opening(options => options.BaseUrl = "nonsense"),
                [MfaCode.InsecureUrl] = Opening(options => options.AllowLoopbackHttp = false),
                [MfaCode.InvalidCa] = Opening(options => options.CaPem = "not a certificate"),

                // The network.
                [MfaCode.Timeout] = With(client => client.IsAvailable("sandbox-silent", TimeSpan.FromMilliseconds(200))),
                [MfaCode.Dns] = Towards("https://name.invalid"),
                [MfaCode.Connect] = _ => Towards("http://127.0.0.1:" + ClosedPort())(_),
                [MfaCode.ConnectTimeout] = _ =>
                {
                    using var listener = new Listener();
                    return With(
                        client => client.Start(Person, Question, TimeSpan.FromSeconds(20)),
                        options =>
                        {
                            options.BaseUrl = "https://127.0.0.1:" + listener.Port;
                            options.ConnectTimeout = TimeSpan.FromMilliseconds(200);
                        })(_);
                },
                [MfaCode.Tls] = _ =>
                {
                    using var secure = new Sandbox(tls: true, strict: true);
                    return With(client => client.IsAvailable(Person), options => options.CaPem = null)(secure);
                },
                [MfaCode.ConnectionLost] = With(client => client.Start("sandbox-lose-start", Question)),
                [MfaCode.RequestTimeout] = With(
                    client => client.Start("sandbox-silent", Question, TimeSpan.FromSeconds(20)),
                    options => options.RequestTimeout = TimeSpan.FromMilliseconds(200)),
                [MfaCode.Proxy] = sandbox => With(
                    client => client.Start(Person, Question),
                    options =>
                    {
                        options.BaseUrl = "https://name.invalid";
                        options.ProxyUrl = sandbox.HyperIdUrl;
                    })(sandbox),

                // The answer.
                [MfaCode.MalformedAnswer] = With(client => client.IsAvailable("sandbox-not-json")),
                [MfaCode.AnswerTooLarge] = With(client => client.IsAvailable("sandbox-oversize")),
                [MfaCode.ContradictoryAnswer] = With(client => Status(client, "sandbox-wrong-id")),
                [MfaCode.HttpStatus] = With(client => client.IsAvailable("sandbox-html-404")),

                // The credentials.
                [MfaCode.TokenExpired] = With(client => client.IsAvailable("sandbox-token-expired")),
                [MfaCode.TokenInvalid] = With(client => client.IsAvailable("sandbox-token-invalid")),
                [MfaCode.AccessDenied] = With(client => client.IsAvailable("sandbox-no-scope")),

                // The provider.
                [MfaCode.Unavailable] = With(client => client.Start("sandbox-unavailable", Question)),
                [MfaCode.RateLimited] = With(client => client.Start("sandbox-rate-limited-7", Question)),
                [MfaCode.ProviderInvalidParameters] = With(client => client.IsAvailable("sandbox-refuse--2")),
                [MfaCode.TransactionNotFound] = With(client => client.GetStatus(Person, 12345)),
                [MfaCode.DeviceNotFound] = With(client => client.Start(
                    "sandbox-device-one", new MfaRequest("?") { DeviceId = "another" })),
                [MfaCode.TemplateNotFound] = With(client => client.Start("sandbox-refuse--8", Question)),
                [MfaCode.AlreadyExpired] = CancelAfter(SandboxDecision.Expire),
                [MfaCode.AlreadyCompleted] = CancelAfter(SandboxDecision.Deny),
                [MfaCode.AlreadyCancelled] = CancelAfter(SandboxDecision.Decline),
                [MfaCode.AuthenticatorNotLinked] = With(client => client.Confirm("sandbox-no-app", Question)),
                [MfaCode.ProviderRefused] = With(client => client.IsAvailable("sandbox-refuse--99")),
            };

        [Case]
        public static void EveryCode()
        {
            var reached = Ways.Keys.Concat(OutOfReach.Keys).Append(MfaCode.Ok).Append(MfaCode.Cancelled).ToHashSet();
            var missing = Enum.GetValues(typeof(MfaCode)).Cast<MfaCode>().Where(code => !reached.Contains(code));
            Expect.Equal("", string.Join(", ", missing), "codes without a way");
            using var sandbox = new Sandbox(strict: true);
            foreach (var (code, way) in Ways)
            {
                var failure = way(sandbox);
                Expect.Equal(code, failure.Code, "code of \"" + failure.Message + "\"");
                Expect.True(failure.Message.Length > 0, code + " has a message");
                Expect.True(failure.Transaction?.IsApproved != true, code + " approves nothing");
                Expect.True(failure.ToString().Contains(MfaLibrary.NameOf(code)), "its text has the code's name");
                Expect.True(!failure.ToString().Contains(Person), "and no token");
            }
        }

        [Case]
        public static void TheFacts()
        {
            using var sandbox = new Sandbox(strict: true);
            var limited = Ways[MfaCode.RateLimited](sandbox);
            Expect.Equal(TimeSpan.FromSeconds(7), limited.RetryAfter, "retry after");
            Expect.Equal(429, limited.HttpStatus, "HTTP status");
            Expect.Equal(1L, limited.Attempts, "attempts");
            var unavailable = Ways[MfaCode.Unavailable](sandbox);
            Expect.True(unavailable.IsRetryable && !unavailable.OutcomeUnknown, "a refused start may be repeated");
            var lost = Ways[MfaCode.ConnectionLost](sandbox);
            Expect.True(lost.OutcomeUnknown && !lost.IsRetryable, "a lost start may not");
            var refused = Ways[MfaCode.ProviderRefused](sandbox);
            Expect.Equal(-99, refused.ProviderCode, "the provider's number");
            Expect.Equal(MfaProvider.HyperId, refused.Provider);
            var unreachable = Ways[MfaCode.Connect](sandbox);
            Expect.True(unreachable.OsError > 0, "the system's number");
            Expect.Equal(null, unreachable.HttpStatus, "no answer arrived");
            Expect.Equal(null, unreachable.ProviderCode, "nor a number");
            Expect.Equal(null, unreachable.RetryAfter, "nor a time");
            Expect.Equal(0L, Ways[MfaCode.InvalidArgument](sandbox).Attempts, "nothing was sent");
        }

        [Case]
        public static void DeadlinesHold()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var time = TimeSpan.FromMilliseconds(300);
            foreach (var call in new Action[]
            {
                () => client.IsAvailable("sandbox-silent", time),
                () => client.IsAvailable("sandbox-drip-50", time),
                () => client.IsAvailableAsync("sandbox-silent", time).Wait(),
                () => client.GetTwoFactorTypes("sandbox-stall-mid-answer", time),
                () => client.Start("sandbox-slow-5000", Question, time),
                () => client.Confirm("sandbox-never", Question, CallTests.Quick, timeout: time),
                () => client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, timeout: time).Wait(),
            })
            {
                Expect.Within(time + TimeSpan.FromSeconds(2), () => Expect.Fails(MfaCode.Timeout, call));
            }
        }

        [Case]
        public static void CancelOnTimeoutCancels()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var wait = new WaitOptions { MinInterval = TimeSpan.FromMilliseconds(50), CancelOnTimeout = true };
            var failure = Expect.Fails(MfaCode.Timeout, () => client.Confirm(
                "sandbox-never", Question, wait, timeout: TimeSpan.FromMilliseconds(800)));
            Expect.Equal(4, sandbox.GetTransaction(failure.Transaction!.Id).Status, "the transaction's status");
        }

        [Case]
        public static void WithdrawOnCancelCancels()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var withdraw in new[] { false, true })
            {
                using var cancel = new CancellationTokenSource();
                var wait = new WaitOptions { MinInterval = TimeSpan.FromMilliseconds(50), WithdrawOnCancel = withdraw };
                long id = 0;
                var progress = new Reports(soFar =>
                {
                    id = soFar.Id;
                    cancel.Cancel();
                });
                Expect.Throws<OperationCanceledException>(() => client.Confirm(
                    "sandbox-never", Question, wait, progress, cancellationToken: cancel.Token));
                Expect.Equal(withdraw ? 4 : 0, sandbox.GetTransaction(id).Status, "the transaction's status");
            }
        }

        [Case]
        public static void WhatCannotBeSaidIsRefused()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Expect.Throws<ArgumentException>(() => client.IsAvailable("sandbox-approve\0sandbox"));
            Expect.Throws<ArgumentException>(() => client.Start(Person, new MfaRequest("half a pair: \uD83D")));
            Expect.Throws<ArgumentNullException>(() => client.Start(Person, null!));
            foreach (var time in new[]
            {
                TimeSpan.Zero, System.Threading.Timeout.InfiniteTimeSpan, TimeSpan.FromDays(50), TimeSpan.MaxValue,
            })
            {
                Expect.Throws<ArgumentOutOfRangeException>(() => client.IsAvailable(Person, time));
            }
            Expect.Equal(1u, Call.Milliseconds(TimeSpan.FromTicks(1), "time"), "a moment is not the default");
            Expect.Equal(0L, sandbox.RequestCount(), "requests");
        }

        private static Func<Sandbox, MfaException> With(
            Action<HyperIdClient> call, Action<MfaClientOptions>? change = null) =>
            sandbox =>
            {
                var options = sandbox.ClientOptions();
                change?.Invoke(options);
                using var client = new HyperIdClient(options);
                return Expect.Throws<MfaException>(() => call(client));
            };

        private static Func<Sandbox, MfaException> Opening(Action<MfaClientOptions> change) => sandbox =>
        {
            var options = sandbox.ClientOptions();
            change(options);
            return Expect.Throws<MfaException>(() => new HyperIdClient(options).Dispose());
        };

        private static Func<Sandbox, MfaException> Towards(string url) =>
            With(client => client.IsAvailable(Person, TimeSpan.FromSeconds(5)), options => options.BaseUrl = url);

        private static Func<Sandbox, MfaException> CancelAfter(SandboxDecision decision) =>
            sandbox => With(client =>
            {
                long id = client.Start(Person, Question);
                sandbox.Decide(id, decision);
                client.Cancel(Person, id);
            })(sandbox);

        private static void Status(HyperIdClient client, string token) =>
            client.GetStatus(token, client.Start(token, Question));

        private static int ClosedPort()
        {
            using var listener = new Listener();
            return listener.Port;
        }

        /// <summary>Lets clients connect, and never says a word.</summary>
        private sealed class Listener : IDisposable
        {
            private readonly TcpListener listener = new TcpListener(IPAddress.Loopback, 0);

            internal Listener()
            {
                listener.Start();
            }

            internal int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

            public void Dispose() => listener.Stop();
        }
    }
}
