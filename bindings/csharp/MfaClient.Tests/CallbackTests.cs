using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using MfaClient.Testing;

namespace MfaClient.Tests
{
    /// <summary>Progress that is told on the thread of the call; System.Progress posts it elsewhere.</summary>
    internal sealed class Reports : IProgress<Transaction>
    {
        private readonly Action<Transaction> then;

        internal Reports(Action<Transaction>? then = null)
        {
            this.then = then ?? (_ => { });
        }

        internal List<Transaction> Seen { get; } = new List<Transaction>();

        public void Report(Transaction value)
        {
            Seen.Add(value);
            then(value);
        }
    }

    public static class CallbackTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");

        [Case]
        public static void ProgressIsTold()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            int caller = Thread.CurrentThread.ManagedThreadId;
            var progress = new Reports(_ => Expect.Equal(caller, Thread.CurrentThread.ManagedThreadId, "thread"));
            var answer = client.Confirm("sandbox-approve", Question, CallTests.Quick, progress);
            Expect.True(answer.IsApproved, "approved");
            Expect.Equal(0L, progress.Seen[0].Polls, "the first report comes before a poll: polls");
            Expect.Equal(answer.Id, progress.Seen[0].Id, "and has the id");
            Expect.Equal(Decision.Pending, progress.Seen[1].Decision);
            Expect.Equal(Decision.Approved, progress.Seen.Last().Decision);
            Expect.True(progress.Seen.All(seen => !seen.IsApproved), "no report is an approval");
            Expect.Equal(answer.Polls, progress.Seen.Last().Polls);
        }

        [Case]
        public static void SystemProgressWorks()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var seen = new ConcurrentQueue<Transaction>();
            var progress = new Progress<Transaction>(seen.Enqueue);
            Expect.True(client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick, progress).Result.IsApproved, "yes");
            Expect.Becomes(() => seen.Any(report => report.Decision == Decision.Approved), "the last report arrives");
        }

        [Case]
        public static void ProgressThatFails()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var thrown = new FormatException("of the caller");
            var progress = new Reports(_ => throw thrown);
            Expect.True(thrown == Expect.Throws<FormatException>(
                () => client.Confirm("sandbox-never", Question, CallTests.Quick, progress)), "the same exception");
            Expect.Equal(1, progress.Seen.Count, "it was told once, and the wait ended");
            Expect.True(thrown == Expect.Throws<FormatException>(
                () => client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, progress).Wait()), "asynchronously");
            long id = progress.Seen.Last().Id;
            Expect.Throws<FormatException>(() => client.Wait("sandbox-never", id, CallTests.Quick, progress));
            var atTheEnd = new Reports(seen =>
            {
                if (seen.Decision == Decision.Approved)
                {
                    throw thrown;
                }
            });
            Expect.Throws<FormatException>(() => client.Confirm("sandbox-approve", Question, CallTests.Quick, atTheEnd));
            Expect.True(client.IsAvailable("sandbox-approve"), "the client works on");
        }

        [Case]
        public static void FreshTokens()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            int asked = 0;
            var wait = Waiting(() =>
            {
                asked++;
                return "sandbox-phone#ann";
            });
            var progress = new Reports(seen =>
            {
                if (seen.Polls == 4)
                {
                    sandbox.Decide(seen.Id, SandboxDecision.Approve);
                }
            });
            Expect.True(client.Confirm("sandbox-token-expires-after-2+phone#ann", Question, wait, progress).IsApproved, "yes");
            Expect.Equal(1, asked, "asked for a token");
        }

        [Case]
        public static void FreshTokensThatAreNone()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            const string Expiring = "sandbox-token-expires-after-1+phone";
            var failure = Expect.Fails(MfaCode.TokenExpired, () => client.Confirm(Expiring + "#a", Question, Waiting(() => null)));
            Expect.True(failure.Transaction!.Id > 0, "the id is told");
            Expect.Throws<FormatException>(
                () => client.Confirm(Expiring + "#b", Question, Waiting(() => throw new FormatException())));
            Expect.Throws<FormatException>(
                () => client.ConfirmAsync(Expiring + "#c", Question, Waiting(() => throw new FormatException())).Wait());
            Expect.Throws<ArgumentException>(() => client.Confirm(Expiring + "#d", Question, Waiting(() => "a\0b")));
            Expect.Fails(MfaCode.InvalidArgument, () => client.Confirm(Expiring + "#e", Question, Waiting(() => "a b")));
        }

        [Case]
        public static void CallsFromACallback()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var states = new List<Decision>();
            var progress = new Reports(seen => states.Add(client.GetStatus("sandbox-approve", seen.Id).Decision));
            Expect.True(client.Confirm("sandbox-approve", Question, CallTests.Quick, progress).IsApproved, "approved");
            Expect.Equal(Decision.Approved, states.Last());
        }

        [Case]
        public static void LogLines()
        {
            using var sandbox = new Sandbox(strict: true);
            var lines = new ConcurrentQueue<(MfaLogLevel Level, string Text)>();
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (level, text) => lines.Enqueue((level, text));
            using var client = new HyperIdClient(options);
            client.IsAvailable("sandbox-approve");
            Expect.True(lines.Any(line => line.Level == MfaLogLevel.Debug && line.Text.Contains("availability-check")), "a line");
            Expect.True(lines.Any(line => line.Level == MfaLogLevel.Warn), "a warning of the connection in clear");
            Expect.True(lines.All(line => !line.Text.Contains("sandbox-approve")), "no token");
        }

        [Case]
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
            Expect.True(client.IsAvailable("sandbox-approve"), "the answer is not the log's to change");
            Expect.True(called > 0, "it was called");
        }

        private static WaitOptions Waiting(Func<string?> provider) => new WaitOptions
        {
            MinInterval = TimeSpan.FromMilliseconds(50),
            AccessTokenProvider = provider,
        };
    }
}
