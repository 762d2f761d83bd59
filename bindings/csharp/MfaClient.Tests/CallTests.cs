using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    public static class CallTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        internal static readonly MfaWaitOptions Quick = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) };

        [Fact]
        public static async Task Availability()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.True(client.IsAvailable("sandbox-approve"), "a person with the app");
            Assert.False(client.IsAvailable("sandbox-no-app"), "and one without");
            Assert.True(await client.IsAvailableAsync("sandbox-approve"), "asynchronously");
        }

        [Fact]
        public static void TheSandboxsFirstId()
        {
            using var sandbox = new Sandbox(strict: true, firstId: 41);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.Equal(41L, client.Start("sandbox-phone", Question));
            Assert.Equal(42L, client.Start("sandbox-phone", Question));
            Assert.ThrowsAny<ArgumentOutOfRangeException>(() => new Sandbox(firstId: 0));
        }

        [Fact]
        public static async Task SecondFactors()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var types = client.GetTwoFactorTypes("sandbox-methods-0,3,77");
            Assert.Equal(TwoFactorMethods.App | TwoFactorMethods.Email | TwoFactorMethods.Other, types.Methods);
            Assert.Equal(3, types.Count);
            Assert.Equal("0,3,77", string.Join(",", types.Raw));
            types = await client.GetTwoFactorTypesAsync("sandbox-methods-none");
            Assert.Equal(TwoFactorMethods.None, types.Methods);
            Assert.Empty(types.Raw);
            string many = string.Join(",", Enumerable.Range(0, 18));
            types = client.GetTwoFactorTypes("sandbox-methods-" + many);
            Assert.Equal(18, types.Count);
            Assert.Equal(string.Join(",", Enumerable.Range(0, 16)), string.Join(",", types.Raw));
        }

        [Fact]
        public static async Task StepByStep()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            long id = client.Start("sandbox-phone", Question);
            Assert.True(id > uint.MaxValue, "ids have 64 bits");
            var pending = client.GetStatus("sandbox-phone", id);
            Assert.Equal(MfaDecision.Pending, pending.Decision);
            Assert.Equal(0, pending.RawStatus);
            Assert.False(pending.IsApproved, "pending is no approval, though its complete result is 0");
            sandbox.Decide(id, SandboxDecision.Approve);
            var answer = client.Wait("sandbox-phone", id, Quick);
            Assert.True(answer.IsApproved, "approved");
            Assert.Equal(id, answer.Id);
            Assert.Equal(0, answer.RawCompleteResult);
            Assert.True((await client.GetStatusAsync("sandbox-phone", id)).IsApproved, "asynchronously");
            long second = await client.StartAsync("sandbox-phone", Question);
            await client.CancelAsync("sandbox-phone", second);
            Assert.Equal(MfaDecision.Cancelled, (await client.WaitAsync("sandbox-phone", second, Quick)).Decision);
            Assert.Equal(2, sandbox.PushCount);
        }

        [Fact]
        public static async Task EveryDecisionThatEnds()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var (token, decision) in new[]
            {
                ("sandbox-approve", MfaDecision.Approved), ("sandbox-deny", MfaDecision.Denied),
                ("sandbox-expire", MfaDecision.Expired), ("sandbox-declined", MfaDecision.Cancelled),
                ("sandbox-failed", MfaDecision.Failed),
            })
            {
                foreach (var answer in new[]
                {
                    client.Confirm(token, Question, Quick), await client.ConfirmAsync(token, Question, Quick),
                })
                {
                    Assert.Equal(decision, answer.Decision);
                    Assert.Equal(decision == MfaDecision.Approved, answer.IsApproved);
                    Assert.True(answer.Polls > 0 && answer.Elapsed > TimeSpan.Zero, "polls and time are told");
                }
            }
        }

        [Fact]
        public static void EveryDecisionThatDoesNotEnd()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var (token, decision) in new[]
            {
                ("sandbox-never", MfaDecision.Pending), ("sandbox-never+unknown-status", MfaDecision.Unknown),
            })
            {
                long id = client.Start(token, Question);
                var state = client.GetStatus(token, id);
                Assert.Equal(decision, state.Decision);
                Assert.False(state.IsApproved, token);
            }
            var failure = Failure.Of(MfaErrorCode.Timeout, () => client.Confirm(
                "sandbox-never", Question, Quick, timeout: TimeSpan.FromMilliseconds(400)));
            Assert.True(failure.Transaction!.Id > 0, "the id is told after a failure");
            Assert.Equal(MfaDecision.Pending, failure.Transaction.Decision);
        }

        [Fact]
        public static void ATransactionHasNoTruthValue()
        {
            var operators = typeof(MfaTransaction).GetMethods().Where(method => method.Name.StartsWith("op_", StringComparison.Ordinal));
            Assert.Empty(string.Join(",", operators.Select(method => method.Name)));
        }

        [Fact]
        public static void TheRequestArrives()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            const string Text = "Zahle 5 € an Zoë? 日本語 \U0001F511 \"'\\ <b>&";
            long id = client.Start("sandbox-phone", new MfaRequest(Text)
            {
                ControlCode = "éa1",
                AllowAnyControlCode = true,
                DeviceId = "gerät",
                DeviceDescription = "Zoës Rechner — 客",
                Ip = "192.0.2.7",
            });
            var seen = sandbox.GetTransaction(id);
            Assert.Equal(id, seen.Id);
            Assert.Equal(Text, seen.Question);
            Assert.Equal("éa1", seen.Code);
            Assert.Equal("gerät", seen.DeviceId);
            Assert.Equal("Zoës Rechner — 客", seen.DeviceDescription);
            Assert.Equal("192.0.2.7", seen.Ip);
            const string Values = "{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"ß?\"}}";
            id = client.Start("sandbox-phone", new MfaRequest { TemplateId = 4, ValuesJson = Values });
            Assert.Equal(Values, sandbox.GetTransaction(id).Values);
            Assert.Equal(4, sandbox.GetTransaction(id).TemplateId);
        }

        [Fact]
        public static async Task CapillarysAnswers()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.BaseUrl = sandbox.CapillaryUrl;
            using var client = new CapillaryClient(options);
            var registration = client.GetMfaRegistration("demo-brand", "device", "sandbox-registered");
            Assert.Equal(CapillaryRegistrationState.Registered, registration.State);
            Assert.Equal(200, registration.RawCode);
            Assert.Equal(200, registration.HttpStatus);
            registration = await client.GetMfaRegistrationAsync("demo-brand", "device", "sandbox-not-registered");
            Assert.Equal(CapillaryRegistrationState.NotRegistered, registration.State);
            Assert.Equal(404, registration.RawCode);
            Assert.Equal(
                CapillaryRegistrationState.NotEnabled,
                client.GetMfaRegistration("no-mfa-brand", "device", "sandbox-registered").State);
            sandbox.AddBrand("märke", true);
            Assert.Equal(
                CapillaryRegistrationState.Registered,
                client.GetMfaRegistration("märke", "gerät", "sandbox-registered").State);
            var failure = Failure.Of(
                MfaErrorCode.TokenExpired, () => client.GetMfaRegistration("demo-brand", "device", "sandbox-token-expired"));
            Assert.Equal(MfaProvider.Capillary, failure.Provider);
            Assert.Equal(401, failure.ProviderCode);
        }

        [Fact]
        public static void Headers()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.Headers["X-First"] = "one: two";
            options.Headers["X-Second"] = "three";
            options.UserAgent = "tests/1";
            using var client = new HyperIdClient(options);
            client.IsAvailable("sandbox-approve");
            string request = sandbox.LastRequest("/mfa-client/availability-check")!;
            foreach (string text in new[] { "one: two", "three", "tests/1" })
            {
                Assert.True(request.Contains(text), text + " was sent");
            }
            options.Headers["X-Third"] = "a\nX-Fourth: b";
            Assert.ThrowsAny<ArgumentException>(() => new HyperIdClient(options).Dispose());
        }

        [Fact]
        public static void OverTls()
        {
            using var sandbox = new Sandbox(tls: true, strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.True(client.Confirm("sandbox-approve", Question, Quick).IsApproved, "with the authority's certificate");
        }

        [Fact]
        public static void ControlCodes()
        {
            var codes = Enumerable.Range(0, 200).Select(_ => MfaLibrary.NewControlCode()).ToList();
            Assert.True(codes.All(code => code.Length == 2 && code.All(char.IsDigit)), "two digits");
            Assert.True(codes.Distinct().Count() > 20, "and not always the same");
        }

        [Fact]
        public static void TheLibrarysFacts()
        {
            Assert.Equal(
                $"{Native.MFA_VERSION_MAJOR}.{Native.MFA_VERSION_MINOR}.{Native.MFA_VERSION_PATCH}", MfaLibrary.Version);
            Assert.Equal("TokenExpired", MfaLibrary.NameOf(MfaErrorCode.TokenExpired));
            Assert.Equal("12345", MfaLibrary.NameOf((MfaErrorCode)12345));
            Assert.True(MfaLibrary.MessageOf(MfaErrorCode.TokenExpired).Contains("fresh token"), "it says what to do");
        }

        [Fact]
        public static void EightThreadsOnOneClient()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            int wrong = 0;
            var threads = Enumerable.Range(0, 8).Select(n => new Thread(() =>
            {
                try
                {
                    bool has = n % 2 == 0;
                    string token = has ? "sandbox-approve#" + n : "sandbox-no-app#" + n;
                    for (int round = 0; round < 100; round++)
                    {
                        if (client.IsAvailable(token) != has)
                        {
                            Interlocked.Increment(ref wrong);
                        }
                    }
                    string asked = has ? "sandbox-approve#c" + n : "sandbox-deny#c" + n;
                    if (client.Confirm(asked, Question, Quick).IsApproved != has)
                    {
                        Interlocked.Increment(ref wrong);
                    }
                }
                catch (Exception)
                {
                    Interlocked.Increment(ref wrong);
                }
            })).ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            Assert.Equal(0, wrong);
            Assert.True(sandbox.ConnectionCount <= 8, "connections are shared");
        }

        [Fact]
        public static async Task WaitsDoNotStarveThePool()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var waits = Enumerable.Range(0, 40).Select(n => client.ConfirmAsync(
                "sandbox-never#" + n, Question, Quick, cancellationToken: cancel.Token)).ToList();
            sandbox.WaitForRequests("/mfa-client/transaction/status-get", 40, Eventually.Soon);
            var pool = Task.Run(() => true);
            await Within.Time(Eventually.Soon, pool);
            cancel.Cancel();
            foreach (var wait in waits)
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
                Assert.True(wait.IsCanceled, "its task is cancelled");
            }
        }
    }
}
