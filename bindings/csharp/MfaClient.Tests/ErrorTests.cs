using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    public static class ErrorTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private const string Person = "sandbox-phone";

        /// <summary>Codes that nothing done through this binding brings about, and why.</summary>
        private static readonly Dictionary<MfaErrorCode, string> OutOfReach = new Dictionary<MfaErrorCode, string>
        {
            [MfaErrorCode.StructSize] = "the binding sets the sizes",
            [MfaErrorCode.NullPointer] = "the binding refuses null",
            [MfaErrorCode.InvalidUtf8] = "the binding encodes, and refuses what it cannot encode",
            [MfaErrorCode.Internal] = "a defect of the library",
            [MfaErrorCode.Forked] = "the child of a fork has no .NET runtime that could tell",
            [MfaErrorCode.NotEnded] = "stands in an event that has not ended its wait, and no exception is made of that",
        };

        private static readonly Dictionary<MfaErrorCode, Func<Sandbox, MfaException>> Ways =
            new Dictionary<MfaErrorCode, Func<Sandbox, MfaException>>
            {
                // The caller.
                [MfaErrorCode.InvalidArgument] = With(client => client.Start(Person, new MfaRequest("?") { ControlCode = "x" })),
                [MfaErrorCode.InvalidUrl] = Opening(options => options.BaseUrl = "nonsense"),
                [MfaErrorCode.InsecureUrl] = Opening(options => options.AllowLoopbackHttp = false),
                [MfaErrorCode.InvalidCa] = Opening(options => options.CaPem = "not a certificate"),

                [MfaErrorCode.Busy] = With(client =>
                {
                    var asking = client.ConfirmAsync("sandbox-never", Question);
                    Injected.Busy(client);
                    asking.GetAwaiter().GetResult();
                }),

                // The network.
                [MfaErrorCode.Timeout] = With(client => client.IsAvailable("sandbox-silent", TimeSpan.FromMilliseconds(200))),
                [MfaErrorCode.Dns] = Towards("https://name.invalid"),
                [MfaErrorCode.Connect] = _ => Towards("http://127.0.0.1:" + ClosedPort())(_),
                [MfaErrorCode.ConnectTimeout] = _ =>
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
                [MfaErrorCode.Tls] = _ =>
                {
                    using var secure = new Sandbox(tls: true, strict: true);
                    return With(client => client.IsAvailable(Person), options => options.CaPem = null)(secure);
                },
                [MfaErrorCode.ConnectionLost] = With(client => client.Start("sandbox-lose-start", Question)),
                [MfaErrorCode.RequestTimeout] = With(
                    client => client.Start("sandbox-silent", Question, TimeSpan.FromSeconds(20)),
                    options => options.RequestTimeout = TimeSpan.FromMilliseconds(200)),
                [MfaErrorCode.Proxy] = sandbox => With(
                    client => client.Start(Person, Question),
                    options =>
                    {
                        options.BaseUrl = "https://name.invalid";
                        options.ProxyUrl = sandbox.HyperIdUrl;
                    })(sandbox),

                // The answer.
                [MfaErrorCode.MalformedAnswer] = With(client => client.IsAvailable("sandbox-not-json")),
                [MfaErrorCode.AnswerTooLarge] = With(client => client.IsAvailable("sandbox-oversize")),
                [MfaErrorCode.ContradictoryAnswer] = With(client => Status(client, "sandbox-wrong-id")),
                [MfaErrorCode.HttpStatus] = With(client => client.IsAvailable("sandbox-html-404")),

                // The credentials.
                [MfaErrorCode.TokenExpired] = With(client => client.IsAvailable("sandbox-token-expired")),
                [MfaErrorCode.TokenInvalid] = With(client => client.IsAvailable("sandbox-token-invalid")),
                [MfaErrorCode.AccessDenied] = With(client => client.IsAvailable("sandbox-no-scope")),

                // The provider.
                [MfaErrorCode.Unavailable] = With(client => client.Start("sandbox-unavailable", Question)),
                [MfaErrorCode.RateLimited] = With(client => client.Start("sandbox-rate-limited-7", Question)),
                [MfaErrorCode.ProviderInvalidParameters] = With(client => client.IsAvailable("sandbox-refuse--2")),
                [MfaErrorCode.TransactionNotFound] = With(client => client.GetStatus(Person, 12345)),
                [MfaErrorCode.DeviceNotFound] = With(client => client.Start(
                    "sandbox-device-one", new MfaRequest("?") { DeviceId = "another" })),
                [MfaErrorCode.TemplateNotFound] = With(client => client.Start("sandbox-refuse--8", Question)),
                [MfaErrorCode.AlreadyExpired] = CancelAfter(SandboxDecision.Expire),
                [MfaErrorCode.AlreadyCompleted] = CancelAfter(SandboxDecision.Deny),
                [MfaErrorCode.AlreadyCancelled] = CancelAfter(SandboxDecision.Decline),
                [MfaErrorCode.AuthenticatorNotLinked] = With(client => client.Confirm("sandbox-no-app", Question)),
                [MfaErrorCode.ProviderRefused] = With(client => client.IsAvailable("sandbox-refuse--99")),
            };

        [Fact]
        public static void EveryCode()
        {
            var reached = Ways.Keys.Concat(OutOfReach.Keys).Append(MfaErrorCode.None).Append(MfaErrorCode.Cancelled).ToHashSet();
            var missing = Enum.GetValues(typeof(MfaErrorCode)).Cast<MfaErrorCode>().Where(code => !reached.Contains(code));
            Assert.Empty(string.Join(", ", missing));
            using var sandbox = new Sandbox(strict: true);
            foreach (var pair in Ways)
            {
                var code = pair.Key;
                var failure = pair.Value(sandbox);
                Assert.Equal(code, failure.Code);
                Assert.True(failure.Message.Length > 0, code + " has a message");
                Assert.True(failure.Transaction?.IsApproved != true, code + " approves nothing");
                Assert.True(failure.ToString().Contains(MfaLibrary.NameOf(code)), "its text has the code's name");
                Assert.False(failure.ToString().Contains(Person), "and no token");
            }
        }

        [Fact]
        public static void TheFacts()
        {
            using var sandbox = new Sandbox(strict: true);
            var limited = Ways[MfaErrorCode.RateLimited](sandbox);
            Assert.Equal(TimeSpan.FromSeconds(7), limited.RetryAfter);
            Assert.Equal(429, limited.HttpStatus);
            Assert.Equal(1, limited.Attempts);
            var unavailable = Ways[MfaErrorCode.Unavailable](sandbox);
            Assert.True(unavailable.IsRetryable && !unavailable.OutcomeUnknown, "a refused start may be repeated");
            var lost = Ways[MfaErrorCode.ConnectionLost](sandbox);
            Assert.True(lost.OutcomeUnknown && !lost.IsRetryable, "a lost start may not");
            var refused = Ways[MfaErrorCode.ProviderRefused](sandbox);
            Assert.Equal(-99, refused.ProviderCode);
            Assert.Equal(MfaProvider.HyperId, refused.Provider);
            var unreachable = Ways[MfaErrorCode.Connect](sandbox);
            Assert.True(unreachable.OsError > 0, "the system's number");
            Assert.Null(unreachable.HttpStatus);
            Assert.Null(unreachable.ProviderCode);
            Assert.Null(unreachable.RetryAfter);
            Assert.Equal(0, Ways[MfaErrorCode.InvalidArgument](sandbox).Attempts);
        }

        [Fact]
        public static void DeadlinesHold()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var time = TimeSpan.FromMilliseconds(300);
            foreach (var call in new Action[]
            {
                () => client.IsAvailable("sandbox-silent", time),
                () => client.IsAvailable("sandbox-drip-50", time),
                () => client.IsAvailableAsync("sandbox-silent", time).GetAwaiter().GetResult(),
                () => client.GetTwoFactorTypes("sandbox-stall-mid-answer", time),
                () => client.Start("sandbox-slow-5000", Question, time),
                () => client.Confirm("sandbox-never", Question, CallTests.Quick, timeout: time),
                () => client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, timeout: time).GetAwaiter().GetResult(),
            })
            {
                Eventually.Within(time + TimeSpan.FromSeconds(2), () => Failure.Of(MfaErrorCode.Timeout, call));
            }
        }

        [Fact]
        public static void CancelOnTimeoutCancels()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var wait = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50), CancelOnTimeout = true };
            var failure = Failure.Of(MfaErrorCode.Timeout, () => client.Confirm(
                "sandbox-never", Question, wait, timeout: TimeSpan.FromMilliseconds(800)));
            Assert.Equal(4, sandbox.GetTransaction(failure.Transaction!.Id).Status);
        }

        [Fact]
        public static void WithdrawOnCancelCancels()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var withdraw in new[] { false, true })
            {
                using var cancel = new CancellationTokenSource();
                var wait = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50), WithdrawOnCancel = withdraw };
                long id = 0;
                var progress = new Reports(soFar =>
                {
                    id = soFar.Id;
                    cancel.Cancel();
                });
                Assert.ThrowsAny<OperationCanceledException>(() => client.Confirm(
                    "sandbox-never", Question, wait, progress, cancellationToken: cancel.Token));
                Assert.Equal(withdraw ? 4 : 0, sandbox.GetTransaction(id).Status);
            }
        }

        [Fact]
        public static void WhatCannotBeSaidIsRefused()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.ThrowsAny<ArgumentException>(() => client.IsAvailable("sandbox-approve\0sandbox"));
            Assert.ThrowsAny<ArgumentException>(() => client.Start(Person, new MfaRequest("half a pair: \uD83D")));
            Assert.ThrowsAny<ArgumentNullException>(() => client.Start(Person, null!));
            foreach (var time in new[]
            {
                TimeSpan.Zero, System.Threading.Timeout.InfiniteTimeSpan, TimeSpan.FromDays(50), TimeSpan.MaxValue,
            })
            {
                Assert.ThrowsAny<ArgumentOutOfRangeException>(() => client.IsAvailable(Person, time));
            }
            Assert.Equal(1u, Time.Milliseconds(TimeSpan.FromTicks(1), "time"));
            Assert.Equal(0, sandbox.RequestCount());
        }

        private static Func<Sandbox, MfaException> With(
            Action<HyperIdClient> call, Action<MfaClientOptions>? change = null) =>
            sandbox =>
            {
                var options = sandbox.ClientOptions();
                change?.Invoke(options);
                using var client = new HyperIdClient(options);
                return Thrown(() => call(client));
            };

        private static Func<Sandbox, MfaException> Opening(Action<MfaClientOptions> change) => sandbox =>
        {
            var options = sandbox.ClientOptions();
            change(options);
            return Thrown(() => new HyperIdClient(options).Dispose());
        };

        /// <summary>The facts, also of what is an ArgumentException to .NET programs.</summary>
        private static MfaException Thrown(Action action)
        {
            var thrown = Record.Exception(action);
            return Assert.IsType<MfaException>(thrown is ArgumentException usage ? usage.InnerException : thrown);
        }

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
