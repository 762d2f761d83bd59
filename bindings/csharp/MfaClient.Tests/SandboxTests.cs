using System;
using System.Linq;
#if NET
using System.Net;
using System.Net.Http;
#endif
using System.Text;
#if NET
using System.Threading.Tasks;
#endif
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>The sandbox's own surface, against the real one.</summary>
    public static class SandboxTests
    {
        private const string Availability = "/mfa-client/availability-check";
        private const string Start = "/mfa-client/transaction/start/v2";
        private static readonly MfaRequest Question = new MfaRequest("Pay?");

        [Fact]
        public static void WhyItDidNotStart()
        {
            using var sandbox = new Sandbox();
            int port = new Uri(sandbox.HyperIdUrl).Port;
            DoesNotStart<InvalidOperationException>($"port {port}: it is taken", new SandboxOptions { Port = port });
            DoesNotStart<InvalidOperationException>("not a page's origin", new SandboxOptions { AllowOrigins = new[] { "*" } });
            DoesNotStart<InvalidOperationException>("16 to 128", new SandboxOptions { ControlKey = "short" });
            DoesNotStart<InvalidOperationException>("must have a name", new SandboxOptions { AnyToken = "" });
            DoesNotStart<ArgumentOutOfRangeException>("Port", new SandboxOptions { Port = 65536 });
            DoesNotStart<ArgumentOutOfRangeException>("IdleTimeout", new SandboxOptions { IdleTimeout = TimeSpan.Zero });
            DoesNotStart<ArgumentException>("a blank", new SandboxOptions { AllowOrigins = new[] { "http://a http://b" } });
            DoesNotStart<ArgumentNullException>("options", null!);
        }

        [Fact]
        public static void WhatIsWrongWithABehaviour()
        {
            using var sandbox = new Sandbox(strict: true);
            Says<ArgumentException>("did you mean approve?", () => sandbox.AddToken("any-text", "aprove"));
            Says<ArgumentException>(
                "did you mean approve?", () => sandbox.AddUser("ann", new SandboxUser { Behaviour = "aprove" }));
            Assert.Contains("approve", Sandbox.Behaviours(), StringComparison.Ordinal);
        }

        [Fact]
        public static void AnAddedPerson()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var capillary = new CapillaryClient(sandbox.ClientOptions());
            sandbox.AddUser(
                "ann", new SandboxUser { Methods = new[] { 1, 2 }, Devices = new[] { "one", "two" }, IsRegistered = false });
            sandbox.IssueToken("anns", "ann");
            Assert.Equal(new[] { 1, 2 }, client.GetTwoFactorTypes("anns").Raw);
            Assert.Equal(CapillaryRegistrationState.NotRegistered, capillary.GetMfaRegistration("demo-brand", "one", "anns").State);
            client.Start("anns", new MfaRequest("Pay?") { DeviceId = "two" });
            Assert.ThrowsAny<MfaException>(() => client.Start("anns", new MfaRequest("Pay?") { DeviceId = "three" }));
            sandbox.AddUser("ann", new SandboxUser { IsAppLinked = false, Methods = Array.Empty<int>(), Behaviour = "slow-1" });
            Assert.False(client.IsAvailable("anns"), "without the app");
            Assert.Empty(client.GetTwoFactorTypes("anns").Raw);
            sandbox.AddUser("ann");
            Assert.True(client.IsAvailable("anns"), "by default with the app");
            Assert.Equal(new[] { 0, 3 }, client.GetTwoFactorTypes("anns").Raw);
            foreach (string device in new[] { "", "a\nb" })
            {
                Says<ArgumentException>("Devices", () => sandbox.AddUser("ann", new SandboxUser { Devices = new[] { device } }));
            }
        }

        [Fact]
        public static void IssuedTokens()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            sandbox.IssueToken("narrow", "ann", new[] { "mfa-client" }, TimeSpan.FromMinutes(1));
            Assert.True(client.IsAvailable("narrow"), "its scope serves");
            Failure.Of(MfaErrorCode.AccessDenied, () => client.GetTwoFactorTypes("narrow"));
            Says<ArgumentException>("a blank", () => sandbox.IssueToken("t", "ann", new[] { "mfa-client other" }));
            sandbox.IssueToken("short", "ann", lives: TimeSpan.FromMilliseconds(1));
            Eventually.True(() => IsExpired(client, "short"), "a token's life ends");

            string token = sandbox.IssueJwt("bob", lives: TimeSpan.FromMinutes(1));
            Assert.Matches(@"^[\w-]+\.[\w-]+\.[\w-]+$", token);
            long id = client.Start(token, Question);
            sandbox.Decide(id, SandboxDecision.Deny);
            Assert.Equal(MfaDecision.Denied, client.GetStatus(token, id).Decision);
            Assert.Equal("bob", sandbox.GetTransaction(id).User);
            string many = new string('é', 3000);
            Assert.True(client.IsAvailable(sandbox.IssueJwt(many)), "a long name fits");
        }

        [Fact]
        public static void AnyTokenIsSomebodys()
        {
            using var sandbox = new Sandbox(new SandboxOptions { AnyToken = "carl", Strict = true });
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.Equal("carl", sandbox.GetTransaction(client.Start("from-elsewhere", Question)).User);
            Failure.Of(MfaErrorCode.TokenInvalid, () => client.IsAvailable("sandbox-aprove"));
        }

        [Fact]
        public static void Transactions()
        {
            using var sandbox = new Sandbox(life: TimeSpan.FromMinutes(2), strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            Assert.Empty(sandbox.Transactions());
            long[] ids = Enumerable.Range(0, 70).Select(_ => client.Start("sandbox-phone", Question)).ToArray();
            Assert.Equal(ids, sandbox.Transactions().Select(one => one.Id));
            sandbox.Decide(ids[0], SandboxDecision.Deny);
            var first = sandbox.Transactions()[0];
            Assert.Equal((1, 1, TimeSpan.Zero), (first.Status, first.CompleteResult, first.Remaining));
            Assert.InRange(sandbox.GetTransaction(ids[69]).Remaining, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(2));
            Says<InvalidOperationException>("no such transaction", () => sandbox.GetTransaction(1));
        }

        [Fact]
        public static void AFreshStart()
        {
            using var sandbox = new Sandbox(strict: true);
            using (var client = new HyperIdClient(sandbox.ClientOptions()))
            {
                sandbox.SetFirstId(7);
                Assert.Equal(7L, client.Start("sandbox-phone", Question));
                Says<ArgumentException>("a transaction has it already", () => sandbox.SetFirstId(7));
                Assert.Throws<ArgumentOutOfRangeException>(() => sandbox.SetFirstId(0));
                Assert.Throws<ArgumentOutOfRangeException>(() => sandbox.Reset(0));
                Says<ArgumentException>("2 to the 62nd", () => sandbox.Reset(long.MaxValue));
            }
            sandbox.AddToken("any-text", "approve");
            sandbox.Reset(7);
            Assert.Empty(sandbox.Transactions());
            Assert.Empty(sandbox.Requests());
            Assert.Equal((0, 0), (sandbox.PushCount, sandbox.RequestCount()));
            using (var client = new HyperIdClient(sandbox.ClientOptions()))
            {
                Failure.Of(MfaErrorCode.TokenInvalid, () => client.IsAvailable("any-text"));
                Assert.Equal(7L, client.Start("sandbox-phone", Question));
                sandbox.Reset();
                Assert.Equal(8L, client.Start("sandbox-phone", Question));
            }
        }

        [Fact]
        public static void EachRequestThatArrived()
        {
            using var sandbox = new Sandbox(strict: true);
            string longText = new string('é', 3000);
            Assert.Null(sandbox.LastRequest());
            using (var client = new HyperIdClient(sandbox.ClientOptions()))
            {
                client.IsAvailable("sandbox-approve");
                client.Start("sandbox-phone", new MfaRequest(longText));
                Assert.True(sandbox.OpenConnections >= 1, "the client keeps its connection");
            }
            Eventually.True(() => sandbox.OpenConnections == 0, "which ends with the client");
            var requests = sandbox.Requests();
            Assert.Equal(("POST", Availability, "{}"), (requests[0].Method, requests[0].Target, requests[0].Text));
            Assert.Equal("Bearer sandbox-approve", requests[0].GetHeader("authorization"));
            Assert.Null(requests[0].GetHeader("x-nothing"));
            Assert.Contains(requests[0].Headers, header => header.Key.Equals("content-type", StringComparison.OrdinalIgnoreCase));
            Assert.Contains(longText, requests[1].Text, StringComparison.Ordinal);
            Assert.Equal(Encoding.UTF8.GetBytes(requests[1].Text), requests[1].Body);
            Assert.EndsWith(requests[1].Text, sandbox.LastRequest(Start), StringComparison.Ordinal);
            Assert.Equal(requests[1].Text, Assert.Single(sandbox.Requests(Start)).Text);
            sandbox.ClearRequests();
            Assert.Empty(sandbox.Requests());
            Assert.Equal(2, sandbox.RequestCount());
        }

        [Fact]
        public static void EachSandboxHasItsOwnKey()
        {
            using var sandbox = new Sandbox();
            using var another = new Sandbox();
            Assert.NotEqual(sandbox.ControlKey, another.ControlKey);
            Assert.NotEqual(sandbox.ControlUrl, another.ControlUrl);
        }

#if NET // An HTTP client of Mono's leaves timers behind, with which Mono ends badly.
        [Fact]
        public static async Task TheInterfaceOverHttp()
        {
            using var sandbox = new Sandbox(new SandboxOptions { ControlKey = "a-key-of-our-own" });
            Assert.Equal("a-key-of-our-own", sandbox.ControlKey);
            using var browser = new HttpClient();
            browser.DefaultRequestHeaders.Add("Sandbox-Key", sandbox.ControlKey);
            Assert.Matches("\"transactions\": ?0", await browser.GetStringAsync(new Uri(sandbox.ControlUrl)));
        }

        [Fact]
        public static async Task WhichPagesMayCall()
        {
            using var sandbox = new Sandbox(new SandboxOptions { AllowOrigins = new[] { "http://localhost:3000", "http://localhost:4000" } });
            using var closed = new Sandbox();
            Assert.Equal(HttpStatusCode.OK, await Answer(sandbox, "http://localhost:3000"));
            Assert.Equal(HttpStatusCode.OK, await Answer(sandbox, "http://localhost:4000"));
            Assert.Equal(HttpStatusCode.Forbidden, await Answer(sandbox, "http://localhost:5000"));
            Assert.Equal(HttpStatusCode.Forbidden, await Answer(closed, "http://localhost:4000"));
        }

        private static async Task<HttpStatusCode> Answer(Sandbox sandbox, string page)
        {
            using var browser = new HttpClient();
            browser.DefaultRequestHeaders.Add("Origin", page);
            browser.DefaultRequestHeaders.Add("Authorization", "Bearer sandbox-approve");
            using var body = new StringContent("{}", Encoding.UTF8, "application/json");
            using var answer = await browser.PostAsync(new Uri(sandbox.HyperIdUrl + Availability), body);
            return answer.StatusCode;
        }
#endif

        [Fact]
        public static void OtherOptions()
        {
            var options = new SandboxOptions { Lan = true, CapillaryHttpStatus = true, IdleTimeout = TimeSpan.FromMilliseconds(100) };
            using var sandbox = new Sandbox(options);
            Assert.False(sandbox.PhoneUrl.EndsWith("/phone", StringComparison.Ordinal), "the address holds a secret");
            using var capillary = new CapillaryClient(sandbox.ClientOptions());
            Assert.Equal(404, capillary.GetMfaRegistration("demo-brand", "d", "sandbox-not-registered").HttpStatus);
            Eventually.True(() => sandbox.OpenConnections == 0, "what is idle is closed");
            using var usual = new Sandbox();
            Assert.EndsWith("/phone", usual.PhoneUrl, StringComparison.Ordinal);
            using var same = new CapillaryClient(usual.ClientOptions());
            Assert.Equal(200, same.GetMfaRegistration("demo-brand", "d", "sandbox-not-registered").HttpStatus);
        }

        [Fact]
        public static void AfterItsEnd()
        {
            var sandbox = new Sandbox();
            sandbox.Dispose();
            Assert.Throws<ObjectDisposedException>(() => sandbox.Requests());
            Assert.Throws<ObjectDisposedException>(() => sandbox.Transactions());
            Assert.Throws<ObjectDisposedException>(() => sandbox.IssueJwt("ann"));
            Assert.Throws<ObjectDisposedException>(() => sandbox.AddUser("ann"));
            Assert.Throws<ObjectDisposedException>(() => sandbox.Reset());
        }

        private static bool IsExpired(HyperIdClient client, string token)
        {
            try
            {
                client.IsAvailable(token);
                return false;
            }
            catch (MfaException failure) when (failure.Code == MfaErrorCode.TokenExpired)
            {
                return true;
            }
        }

        private static void DoesNotStart<T>(string why, SandboxOptions options)
            where T : Exception
        {
            var failure = Assert.Throws<T>(() => { using var sandbox = new Sandbox(options); });
            Assert.Contains(why, failure.Message, StringComparison.Ordinal);
        }

        private static void Says<T>(string text, Action action)
            where T : Exception => Assert.Contains(text, Assert.Throws<T>(action).Message, StringComparison.Ordinal);
    }
}
