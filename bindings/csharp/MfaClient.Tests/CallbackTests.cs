using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>Progress that is told on the thread of the call; System.Progress posts it elsewhere.</summary>
    internal sealed class Reports : IProgress<MfaTransaction>
    {
        private readonly Action<MfaTransaction> then;

        internal Reports(Action<MfaTransaction>? then = null)
        {
            this.then = then ?? (_ => { });
        }

        /// <summary>Once there were so many polls; a report may be passed over for a newer one.</summary>
        internal static Action<MfaTransaction> Once(int polls, Action<MfaTransaction> then)
        {
            bool isDone = false;
            return soFar =>
            {
                if (!isDone && soFar.Polls >= polls)
                {
                    isDone = true;
                    then(soFar);
                }
            };
        }

        internal List<MfaTransaction> Seen { get; } = new List<MfaTransaction>();

        public void Report(MfaTransaction value)
        {
            Seen.Add(value);
            then(value);
        }
    }

    public static class CallbackTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");

        [Fact]
        public static void ProgressIsTold()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            int caller = Thread.CurrentThread.ManagedThreadId;
            var progress = new Reports(_ => Assert.Equal(caller, Thread.CurrentThread.ManagedThreadId));
            var answer = client.Confirm("sandbox-approve", Question, CallTests.Quick, progress);
            Assert.True(answer.IsApproved, "approved");
            Assert.Equal(0, progress.Seen[0].Polls);
            Assert.Equal(answer.Id, progress.Seen[0].Id);
            Assert.Equal(MfaDecision.Pending, progress.Seen[1].Decision);
            Assert.Equal(MfaDecision.Approved, progress.Seen.Last().Decision);
            Assert.True(progress.Seen.All(seen => !seen.IsApproved), "no report is an approval");
            Assert.Equal(answer.Polls, progress.Seen.Last().Polls);
        }

        [Fact]
        public static async Task SystemProgressWorks()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var seen = new ConcurrentQueue<MfaTransaction>();
            var progress = new Progress<MfaTransaction>(seen.Enqueue);
            Assert.True((await client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick, progress)).IsApproved, "yes");
            Eventually.True(() => seen.Any(report => report.Decision == MfaDecision.Approved), "the last report arrives");
        }

        [Fact]
        public static async Task ProgressThatFails()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var thrown = new FormatException("of the caller");
            var progress = new Reports(_ => throw thrown);
            Assert.True(thrown == Assert.ThrowsAny<FormatException>(
                () => client.Confirm("sandbox-never", Question, CallTests.Quick, progress)), "the same exception");
            Assert.Single(progress.Seen);
            Assert.True(thrown == await Assert.ThrowsAnyAsync<FormatException>(
                () => client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, progress)), "asynchronously");
            long id = progress.Seen.Last().Id;
            Assert.ThrowsAny<FormatException>(() => client.Wait("sandbox-never", id, CallTests.Quick, progress));
            var atTheEnd = new Reports(seen =>
            {
                if (seen.Decision == MfaDecision.Approved)
                {
                    throw thrown;
                }
            });
            Assert.ThrowsAny<FormatException>(() => client.Confirm("sandbox-approve", Question, CallTests.Quick, atTheEnd));
            Assert.True(client.IsAvailable("sandbox-approve"), "the client works on");
        }

        [Fact]
        public static void FreshTokens()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            int asked = 0;
            var progress = new Reports(seen =>
            {
                if (seen.Polls == 4)
                {
                    sandbox.Decide(seen.Id, SandboxDecision.Approve);
                }
            });
            Assert.True(client.Confirm(
                "sandbox-token-expires-after-2+phone#ann",
                Question,
                CallTests.Quick,
                progress,
                () =>
                {
                    asked++;
                    return "sandbox-phone#ann";
                }).IsApproved, "yes");
            Assert.Equal(1, asked);
        }

        [Fact]
        public static async Task FreshTokensThatAreNone()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            const string Expiring = "sandbox-token-expires-after-1+phone";
            var failure = Failure.Of(MfaErrorCode.TokenExpired, () => client.Confirm(Expiring + "#a", Question, CallTests.Quick, refreshAccessToken: () => null));
            Assert.True(failure.Transaction!.Id > 0, "the id is told");
            Assert.ThrowsAny<FormatException>(
                () => client.Confirm(Expiring + "#b", Question, CallTests.Quick, refreshAccessToken: () => throw new FormatException()));
            await Assert.ThrowsAnyAsync<FormatException>(
                () => client.ConfirmAsync(Expiring + "#c", Question, CallTests.Quick, refreshAccessToken: _ => throw new FormatException()));
            Assert.ThrowsAny<ArgumentException>(() => client.Confirm(Expiring + "#d", Question, CallTests.Quick, refreshAccessToken: () => "a\0b"));
            Assert.Equal("refreshAccessToken", Assert.Throws<ArgumentException>(
                () => client.Confirm(Expiring + "#e", Question, CallTests.Quick, refreshAccessToken: () => "a b")).ParamName);
        }

        [Fact]
        public static void CallsFromACallback()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var states = new List<MfaDecision>();
            var progress = new Reports(seen => states.Add(client.GetStatus("sandbox-approve", seen.Id).Decision));
            Assert.True(client.Confirm("sandbox-approve", Question, CallTests.Quick, progress).IsApproved, "approved");
            Assert.Equal(MfaDecision.Approved, states.Last());
        }

        [Fact]
        public static void LogLines()
        {
            using var sandbox = new Sandbox(strict: true);
            var lines = new ConcurrentQueue<(MfaLogLevel Level, string Text)>();
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (level, text) => lines.Enqueue((level, text));
            using var client = new HyperIdClient(options);
            client.IsAvailable("sandbox-approve");
            Assert.True(lines.Any(line => line.Level == MfaLogLevel.Debug && line.Text.Contains("availability-check")), "a line");
            Assert.True(lines.Any(line => line.Level == MfaLogLevel.Warn), "a warning of the connection in clear");
            Assert.True(lines.All(line => !line.Text.Contains("sandbox-approve")), "no token");
        }

        [Fact]
        public static void ALogWhoseLevelIsLeftAloneIsToldWarnings()
        {
            using var sandbox = new Sandbox(strict: true);
            var lines = new ConcurrentQueue<MfaLogLevel>();
            var options = sandbox.ClientOptions();
            options.Log = (level, _) => lines.Enqueue(level);
            using var client = new HyperIdClient(options);
            client.IsAvailable("sandbox-approve");
            Assert.Contains(MfaLogLevel.Warn, lines);
            Assert.DoesNotContain(MfaLogLevel.Debug, lines);
        }

        [Fact]
        public static void ALogThatFails()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            int called = 0;
            options.Log = (_, _) =>
            {
                called++;
                throw new FormatException();
            };
            using var client = new HyperIdClient(options);
            Assert.True(client.IsAvailable("sandbox-approve"), "the answer is not the log's to change");
            Assert.True(called > 0, "it was called");
        }
    }
}
