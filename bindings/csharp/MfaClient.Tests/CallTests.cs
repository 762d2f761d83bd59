using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;

namespace MfaClient.Tests
{
    public static class CallTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        internal static readonly WaitOptions Quick = new WaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) };

        [Case]
        public static void Availability()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Expect.True(client.IsAvailable("sandbox-approve"), "a person with the app");
            Expect.True(!client.IsAvailable("sandbox-no-app"), "and one without");
            Expect.True(client.IsAvailableAsync("sandbox-approve").Result, "asynchronously");
        }

        [Case]
        public static void TheSandboxsFirstId()
        {
            using var sandbox = new Sandbox(strict: true, firstId: 41);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Expect.Equal(41L, client.Start("sandbox-phone", Question));
            Expect.Equal(42L, client.Start("sandbox-phone", Question));
            Expect.Throws<ArgumentOutOfRangeException>(() => new Sandbox(firstId: 0));
        }

        [Case]
        public static void SecondFactors()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var types = client.GetTwoFactorTypes("sandbox-methods-0,3,77");
            Expect.Equal(TwoFactorMethods.App | TwoFactorMethods.Email | TwoFactorMethods.Other, types.Methods);
            Expect.Equal(3L, types.Count);
            Expect.Equal("0,3,77", string.Join(",", types.Raw));
            types = client.GetTwoFactorTypesAsync("sandbox-methods-none").Result;
            Expect.Equal(TwoFactorMethods.None, types.Methods);
            Expect.Equal(0, types.Raw.Count);
            string many = string.Join(",", Enumerable.Range(0, 18));
            types = client.GetTwoFactorTypes("sandbox-methods-" + many);
            Expect.Equal(18L, types.Count);
            Expect.Equal(string.Join(",", Enumerable.Range(0, 16)), string.Join(",", types.Raw));
        }

        [Case]
        public static void StepByStep()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            long id = client.Start("sandbox-phone", Question);
            Expect.True(id > uint.MaxValue, "ids have 64 bits");
            var pending = client.GetStatus("sandbox-phone", id);
            Expect.Equal(Decision.Pending, pending.Decision);
            Expect.Equal(0, pending.RawStatus, "raw status");
            Expect.True(!pending.IsApproved, "pending is no approval, though its complete result is 0");
            sandbox.Decide(id, SandboxDecision.Approve);
            var answer = client.Wait("sandbox-phone", id, Quick);
            Expect.True(answer.IsApproved, "approved");
            Expect.Equal(id, answer.Id);
            Expect.Equal(0, answer.RawCompleteResult, "raw complete result");
            Expect.True(client.GetStatusAsync("sandbox-phone", id).Result.IsApproved, "asynchronously");
            long second = client.StartAsync("sandbox-phone", Question).Result;
            client.CancelAsync("sandbox-phone", second).Wait();
            Expect.Equal(Decision.Cancelled, client.WaitAsync("sandbox-phone", second, Quick).Result.Decision);
            Expect.Equal(2L, sandbox.PushCount, "pushes");
        }

        [Case]
        public static void EveryDecisionThatEnds()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var (token, decision) in new[]
            {
                ("sandbox-approve", Decision.Approved), ("sandbox-deny", Decision.Denied),
                ("sandbox-expire", Decision.Expired), ("sandbox-declined", Decision.Cancelled),
                ("sandbox-failed", Decision.Failed),
            })
            {
                foreach (var answer in new[]
                {
                    client.Confirm(token, Question, Quick), client.ConfirmAsync(token, Question, Quick).Result,
                })
                {
                    Expect.Equal(decision, answer.Decision, token);
                    Expect.Equal(decision == Decision.Approved, answer.IsApproved, token + " approves");
                    Expect.True(answer.Polls > 0 && answer.Elapsed > TimeSpan.Zero, "polls and time are told");
                }
            }
        }

        [Case]
        public static void EveryDecisionThatDoesNotEnd()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var (token, decision) in new[]
            {
                ("sandbox-never", Decision.Pending), ("sandbox-never+unknown-status", Decision.Unknown),
            })
            {
                long id = client.Start(token, Question);
                var state = client.GetStatus(token, id);
                Expect.Equal(decision, state.Decision, token);
                Expect.True(!state.IsApproved, token);
            }
            var failure = Expect.Fails(MfaCode.Timeout, () => client.Confirm(
                "sandbox-never", Question, Quick, timeout: TimeSpan.FromMilliseconds(400)));
            Expect.True(failure.Transaction!.Id > 0, "the id is told after a failure");
            Expect.Equal(Decision.Pending, failure.Transaction.Decision);
        }

        [Case]
        public static void ATransactionHasNoTruthValue()
        {
            var operators = typeof(Transaction).GetMethods().Where(method => method.Name.StartsWith("op_", StringComparison.Ordinal));
            Expect.Equal("", string.Join(",", operators.Select(method => method.Name)), "operators");
        }

        [Case]
        public static void TheRequestArrives()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            const string Text = "Zahle 5 € an Zoë? 日本語 \U0001F511 \"'\\ <b>&";
            long id = client.Start("sandbox-phone", new MfaRequest(Text)
            {
                Code = "éa1",
                AllowAnyCode = true,
                DeviceId = "gerät",
                DeviceDescription = "Zoës Rechner — 客",
                Ip = "192.0.2.7",
            });
            var seen = sandbox.GetTransaction(id);
            Expect.Equal(id, seen.Id);
            Expect.Equal(Text, seen.Question);
            Expect.Equal("éa1", seen.Code);
            Expect.Equal("gerät", seen.DeviceId);
            Expect.Equal("Zoës Rechner — 客", seen.DeviceDescription);
            Expect.Equal("192.0.2.7", seen.Ip);
            const string Values = "{\"version\":1,\"action\":{\"type\":\"question\",\"action_info\":\"ß?\"}}";
            id = client.Start("sandbox-phone", new MfaRequest { TemplateId = 4, ValuesJson = Values });
            Expect.Equal(Values, sandbox.GetTransaction(id).Values);
            Expect.Equal(4, sandbox.GetTransaction(id).TemplateId);
        }

        [Case]
        public static void CapillarysAnswers()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.BaseUrl = sandbox.CapillaryUrl;
            using var client = new CapillaryClient(options);
            var registration = client.GetMfaRegistration("demo-brand", "device", "sandbox-registered");
            Expect.Equal(RegistrationState.Registered, registration.State);
            Expect.Equal(200, registration.RawCode);
            Expect.Equal(200, registration.HttpStatus);
            registration = client.GetMfaRegistrationAsync("demo-brand", "device", "sandbox-not-registered").Result;
            Expect.Equal(RegistrationState.NotRegistered, registration.State);
            Expect.Equal(404, registration.RawCode);
            Expect.Equal(
                RegistrationState.NotEnabled,
                client.GetMfaRegistration("no-mfa-brand", "device", "sandbox-registered").State);
            sandbox.AddBrand("märke", true);
            Expect.Equal(
                RegistrationState.Registered,
                client.GetMfaRegistration("märke", "gerät", "sandbox-registered").State);
            var failure = Expect.Fails(
                MfaCode.TokenExpired, () => client.GetMfaRegistration("demo-brand", "device", "sandbox-token-expired"));
            Expect.Equal(MfaProvider.Capillary, failure.Provider);
            Expect.Equal(401, failure.ProviderCode);
        }

        [Case]
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
                Expect.True(request.Contains(text), text + " was sent");
            }
            options.Headers["X-Third"] = "a\nX-Fourth: b";
            Expect.Throws<ArgumentException>(() => new HyperIdClient(options).Dispose());
        }

        [Case]
        public static void OverTls()
        {
            using var sandbox = new Sandbox(tls: true, strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Expect.True(client.Confirm("sandbox-approve", Question, Quick).IsApproved, "with the authority's certificate");
        }

        [Case]
        public static void ControlCodes()
        {
            var codes = Enumerable.Range(0, 200).Select(_ => MfaLibrary.NewControlCode()).ToList();
            Expect.True(codes.All(code => code.Length == 2 && code.All(char.IsDigit)), "two digits");
            Expect.True(codes.Distinct().Count() > 20, "and not always the same");
        }

        [Case]
        public static void TheLibrarysFacts()
        {
            Expect.Equal(
                $"{Native.MFA_VERSION_MAJOR}.{Native.MFA_VERSION_MINOR}.{Native.MFA_VERSION_PATCH}", MfaLibrary.Version);
            Expect.Equal("MFA_ERR_TOKEN_EXPIRED", MfaLibrary.NameOf(MfaCode.TokenExpired));
            Expect.Equal("MFA_ERR_?", MfaLibrary.NameOf((MfaCode)12345));
            Expect.True(MfaLibrary.MessageOf(MfaCode.TokenExpired).Contains("fresh token"), "it says what to do");
        }

        [Case]
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
            Expect.Equal(0, wrong, "wrong answers");
            Expect.True(sandbox.ConnectionCount <= 8, "connections are shared");
        }

        [Case]
        public static void WaitsDoNotStarveThePool()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var waits = Enumerable.Range(0, 40).Select(n => client.ConfirmAsync(
                "sandbox-never#" + n, Question, Quick, cancellationToken: cancel.Token)).ToList();
            sandbox.WaitForRequests("/mfa-client/transaction/status-get", 40, Expect.Soon);
            Expect.True(Task.Run(() => true).Wait(Expect.Soon), "the pool is free");
            cancel.Cancel();
            foreach (var wait in waits)
            {
                Expect.Throws<OperationCanceledException>(() => wait.GetAwaiter().GetResult());
                Expect.True(wait.IsCanceled, "its task is cancelled");
            }
        }
    }
}
