using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>What a call takes is taken before its method returns.</summary>
    public static class TakenTests
    {
        [Fact]
        public static async Task ARequestThatIsUsedAgainAsksWhatItSaidAtEachCall()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var request = new MfaRequest { AllowAnyControlCode = true };
            var calls = new List<Task<long>>();
            for (int call = 0; call < 200; call++)
            {
                request.Question = "Question " + call;
                request.ControlCode = "code " + call;
                calls.Add(client.StartAsync("sandbox-phone#" + call, request));
            }
            request.Question = null;
            for (int call = 0; call < calls.Count; call++)
            {
                var asked = sandbox.GetTransaction(await calls[call]);
                Assert.Equal("Question " + call, asked.Question);
                Assert.Equal("code " + call, asked.Code);
            }
        }

        [Fact]
        public static async Task AClientThatIsDisposedAfterACallBeganServesIt()
        {
            using var sandbox = new Sandbox(strict: true);
            for (int round = 0; round < 50; round++)
            {
                var client = new HyperIdClient(sandbox.ClientOptions());
                var available = client.IsAvailableAsync("sandbox-approve");
                client.Dispose();
                Assert.True(await available);
            }
        }

        [Fact]
        public static async Task WaitOptionsThatAreSharedBringNobodyAnothersToken()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var shared = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50) };
            var calls = new List<Task<MfaTransaction>>();
            foreach (string person in new[] { "ann", "bob" })
            {
                calls.Add(client.ConfirmAsync(
                    "sandbox-token-expires-after-1+phone#" + person,
                    new MfaRequest("For " + person),
                    shared,
                    new Reports(Reports.Once(
                        2, soFar => sandbox.Decide(soFar.Id, person == "ann" ? SandboxDecision.Approve : SandboxDecision.Deny))),
                    _ => Task.FromResult<string?>("sandbox-phone#" + person)));
            }
            shared.MinInterval = TimeSpan.FromHours(1);
            Assert.True((await calls[0]).IsApproved);
            Assert.Equal(MfaDecision.Denied, (await calls[1]).Decision);
        }

        [Fact]
        public static async Task HeadersAreCopied()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.Headers["X-Mine"] = "before";
            using var client = new HyperIdClient(options);
            options.Headers["X-Mine"] = "after";
            await client.IsAvailableAsync("sandbox-approve");
            Assert.Contains("before", sandbox.LastRequest()!, StringComparison.Ordinal);
        }
    }
}
