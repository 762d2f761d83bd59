using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>Asynchronous waits: one thread carries all of a client's, and runs nothing of anybody else's.</summary>
    public static class WaitTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private static readonly TimeSpan Prompt = TimeSpan.FromSeconds(5);

        [Fact]
        public static async Task ACallbackThatBlocksDelaysNoOthersDeadlineOrCancelNorItsOwnDeadline()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            using var release = new ManualResetEventSlim();
            using var blocked = new CountdownEvent(2);
            var progress = new Reports(_ =>
            {
                if (!blocked.IsSet)
                {
                    blocked.Signal();
                }
                release.Wait();
            });
            var reporting = client.ConfirmAsync("sandbox-approve#reporting", Question, CallTests.Quick, progress);
            var refreshing = client.ConfirmAsync(
                "sandbox-token-expires-after-1+phone#refreshing",
                Question,
                CallTests.Quick,
                refreshAccessToken: _ =>
                {
                    blocked.Signal();
                    release.Wait(CancellationToken.None);
                    return Task.FromResult<string?>(null);
                },
                timeout: TimeSpan.FromSeconds(3));
            await Task.Run(() => Assert.True(blocked.Wait(Eventually.Soon), "both block"));

            var timingOut = client.ConfirmAsync("sandbox-never#t", Question, CallTests.Quick, timeout: TimeSpan.FromMilliseconds(500));
            await Failure.OfAsync(MfaErrorCode.Timeout, () => Within.Time(Prompt, timingOut));
            var cancelled = client.ConfirmAsync("sandbox-never#c", Question, CallTests.Quick, cancellationToken: cancel.Token);
            cancel.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, cancelled));
            // The deadline of the call whose provider blocks its thread.
            await Failure.OfAsync(MfaErrorCode.Timeout, () => Within.Time(Prompt, refreshing));
            Assert.False(reporting.IsCompleted, "who reports waits for its own callback");
            release.Set();
            Assert.True((await reporting).IsApproved, "and goes on to its answer");
        }

        [Fact]
        public static async Task TheReportWithTheIdHasReturnedBeforeTheCallCompletes()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var release = new ManualResetEventSlim();
            var saved = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            bool hasReturned = false;
            var progress = new Reports(soFar =>
            {
                if (soFar.Polls == 0)
                {
                    saved.SetResult(soFar.Id);
                    release.Wait();
                    hasReturned = true;
                }
            });
            var asking = client.ConfirmAsync("sandbox-phone", Question, CallTests.Quick, progress);
            long id = await saved.Task;
            sandbox.Decide(id, SandboxDecision.Approve);
            int polls = sandbox.GetTransaction(id).Polls;
            Eventually.True(() => sandbox.GetTransaction(id).Polls > polls, "the approval is read");
            // Nobody else waits, so the thread has gone when it has handed the answer over.
            Eventually.True(() => client.Waiter == null, "and taken from the waiter");
            Assert.False(asking.IsCompleted);
            release.Set();
            Assert.True((await asking).IsApproved);
            Assert.True(hasReturned);
            Assert.Equal(MfaDecision.Approved, progress.Seen.Last().Decision);
            Assert.All(progress.Seen, seen => Assert.False(seen.IsApproved, "no report is an approval"));
            Assert.True(progress.Seen.Skip(1).All(seen => seen.Polls > 0), "the id comes first");
        }

        [Fact]
        public static async Task AProgressThatThrowsEndsTheWaitAndWithdrawsWhereThatWasAsked()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (bool withdraws in new[] { false, true })
            {
                long id = 0;
                var progress = new Reports(soFar =>
                {
                    id = soFar.Id;
                    throw new FormatException();
                });
                var wait = new MfaWaitOptions { MinInterval = TimeSpan.FromMilliseconds(50), WithdrawOnCancel = withdraws };
                await Assert.ThrowsAsync<FormatException>(() => client.ConfirmAsync("sandbox-never", Question, wait, progress));
                Assert.Equal(withdraws ? 4 : 0, sandbox.GetTransaction(id).Status);
            }
        }

        [Fact]
        public static async Task ACancelWithdrawsWhereThatWasAskedAndSaysSo()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (bool withdraws in new[] { false, true })
            {
                using var cancel = new CancellationTokenSource();
                var wait = new MfaWaitOptions { WithdrawOnCancel = withdraws };
                var asking = client.ConfirmAsync("sandbox-never", Question, wait, cancellationToken: cancel.Token);
                sandbox.WaitForRequests("/mfa-client/transaction/status-get", withdraws ? 2 : 1, Eventually.Soon);
                cancel.Cancel();
                var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, asking));
                var facts = Assert.IsType<MfaException>(failure.InnerException);
                Assert.Equal(withdraws, facts.Withdrawn);
                if (withdraws)
                {
                    Assert.Equal(4, sandbox.GetTransaction(facts.Transaction!.Id).Status);
                }
            }
        }

        [Fact]
        public static async Task ACancelThatFindsADecisionReturnsIt()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var started = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            var wait = new MfaWaitOptions { FirstPoll = TimeSpan.FromHours(1), WithdrawOnCancel = true };
            var asking = client.ConfirmAsync(
                "sandbox-phone", Question, wait, new Reports(soFar => started.TrySetResult(soFar.Id)), cancellationToken: cancel.Token);
            sandbox.Decide(await started.Task, SandboxDecision.Approve);
            cancel.Cancel();
            await Within.Time(Prompt, asking);
            Assert.True((await asking).IsApproved, "it was answered in the meantime");
        }

        [Fact]
        public static async Task AStartThatWasCancelledMayHaveHappened()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var asking = client.ConfirmAsync("sandbox-silent@start", Question, cancellationToken: cancel.Token);
            sandbox.WaitForRequests("/mfa-client/transaction/start/v2", 1, Eventually.Soon);
            cancel.Cancel();
            var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, asking));
            var facts = Assert.IsType<MfaException>(failure.InnerException);
            Assert.True(facts.OutcomeUnknown, "the outcome is unknown");
            Assert.Null(facts.Transaction);
        }

        [Fact]
        public static async Task AnAsyncLocalIsSeenInCallbacksAndLeaksBetweenNoCalls()
        {
            using var sandbox = new Sandbox(strict: true);
            var who = new AsyncLocal<string?>();
            var onTheWaitsThread = new ConcurrentQueue<string?>();
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (_, _) => onTheWaitsThread.Enqueue(Thread.CurrentThread.Name == "MfaClient waits" ? who.Value ?? "" : "");
            using var client = new HyperIdClient(options);
            var seen = new ConcurrentQueue<(string Person, string? Who)>();
            async Task<MfaTransaction> Ask(string person)
            {
                who.Value = person;
                var decide = Reports.Once(3, soFar => sandbox.Decide(soFar.Id, SandboxDecision.Approve));
                var progress = new Reports(soFar =>
                {
                    seen.Enqueue((person, who.Value));
                    who.Value = person + ", changed";
                    decide(soFar);
                    who.Value = person;
                });
                return await client.ConfirmAsync(
                    "sandbox-token-expires-after-1+phone#" + person,
                    Question,
                    CallTests.Quick,
                    progress,
                    async _ =>
                    {
                        seen.Enqueue((person, who.Value));
                        await Task.Yield();
                        seen.Enqueue((person, who.Value));
                        who.Value = "of the provider";
                        return "sandbox-phone#" + person;
                    });
            }
            var calls = Enumerable.Range(0, 20).Select(n => Ask("person" + n)).ToList();
            who.Value = null;
            foreach (var call in calls)
            {
                Assert.True((await call).IsApproved);
            }
            Assert.True(seen.Count >= 20 * 5, "callbacks were called");
            Assert.All(seen, pair => Assert.Equal(pair.Person, pair.Who));
            Assert.NotEmpty(onTheWaitsThread);
            Assert.All(onTheWaitsThread, value => Assert.Equal("", value));
            Assert.Null(await Task.Run(() => who.Value));
        }

        [Fact]
        public static async Task NoContinuationOrCallbackRunsOnTheWaitsThread()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var names = new ConcurrentQueue<string?>();
            void Look() => names.Enqueue(Thread.CurrentThread.Name);
            async Task Await(Task call)
            {
                try
                {
                    await call.ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                }
                Look();
            }
            using var cancel = new CancellationTokenSource();
            var calls = new List<Task>();
            foreach (string token in new[] { "sandbox-approve", "sandbox-deny", "sandbox-never" })
            {
                var call = client.ConfirmAsync(token, Question, CallTests.Quick, new Reports(_ => Look()), cancellationToken: cancel.Token);
                calls.Add(Await(call));
                calls.Add(call.ContinueWith(_ => Look(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default));
            }
            await calls[0];
            cancel.Cancel();
            await Task.WhenAll(calls);
            Assert.True(names.Count > 6);
            Assert.DoesNotContain("MfaClient waits", names);
        }

        [Fact]
        public static async Task DisposeInACallbackInAContinuationAndWithWaitsPendingReturnsAtOnce()
        {
            using var sandbox = new Sandbox(strict: true);
            var client = new HyperIdClient(sandbox.ClientOptions());
            var disposed = new ConcurrentQueue<TimeSpan>();
            void Dispose()
            {
                var watch = Stopwatch.StartNew();
                client.Dispose();
                disposed.Enqueue(watch.Elapsed);
            }
            var pending = client.ConfirmAsync("sandbox-phone#pending", Question, CallTests.Quick);
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            var calling = client.ConfirmAsync("sandbox-approve#calling", Question, CallTests.Quick, new Reports(_ => Dispose()));
            var continued = client.ConfirmAsync("sandbox-deny#continued", Question, CallTests.Quick).ContinueWith(
                call =>
                {
                    Dispose();
                    return call.Result.Decision;
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
            Dispose();
            Assert.ThrowsAny<ObjectDisposedException>(() => { _ = client.ConfirmAsync("sandbox-approve", Question); });
            Assert.True((await calling).IsApproved);
            Assert.Equal(MfaDecision.Denied, await continued);
            sandbox.Decide(id, SandboxDecision.Approve);
            Assert.True((await pending).IsApproved, "the waits go on to their own answers");
            Assert.True(disposed.Count >= 4);
            Assert.All(disposed, time => Assert.True(time < TimeSpan.FromSeconds(1), $"{time}"));
        }

        [Fact]
        public static async Task AFailureOfNextEndsEveryTask()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var started = new ConcurrentQueue<long>();
            var known = Enumerable.Range(0, 50).Select(n => client.ConfirmAsync(
                "sandbox-never#" + n, Question, CallTests.Quick, new Reports(soFar => started.Enqueue(soFar.Id)))).ToList();
            Eventually.True(() => started.Distinct().Count() == known.Count, "all are asked");
            var unknown = client.ConfirmAsync("sandbox-silent@start", Question);
            sandbox.WaitForRequests("/mfa-client/transaction/start/v2", known.Count + 1, Eventually.Soon);
            var transaction = client.WaitAsync("sandbox-never#0", started.First(), CallTests.Quick);
            Injected.Busy(client);
            foreach (var wait in known)
            {
                var failure = await Failure.OfAsync(MfaErrorCode.Busy, () => Within.Time(Prompt, wait));
                Assert.Contains(failure.Transaction!.Id, started);
                Assert.False(failure.OutcomeUnknown);
            }
            Assert.True((await Failure.OfAsync(MfaErrorCode.Busy, () => Within.Time(Prompt, unknown))).OutcomeUnknown, "nobody knows the id");
            Assert.False((await Failure.OfAsync(MfaErrorCode.Busy, () => Within.Time(Prompt, transaction))).OutcomeUnknown);
            // The next one has a waiter of its own.
            Assert.True((await client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick)).IsApproved);
        }

        [Fact]
        public static void ResultEndsUnderAContextOfOneThread()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            bool isApproved = false;
            var thread = new Thread(() =>
            {
                SynchronizationContext.SetSynchronizationContext(new NobodyPumps());
                isApproved = client.ConfirmAsync(
                    "sandbox-token-expires-after-1+approve#one",
                    Question,
                    CallTests.Quick,
                    new Reports(),
                    async _ =>
                    {
                        await Task.Delay(1, CancellationToken.None).ConfigureAwait(false);
                        return "sandbox-phone#one";
                    }).Result.IsApproved;
            })
            { IsBackground = true };
            thread.Start();
            Assert.True(thread.Join(Eventually.Soon), "it ends");
            Assert.True(isApproved);
        }

        /// <summary>Its thread is blocked, so what is posted to it never runs.</summary>
        private sealed class NobodyPumps : SynchronizationContext
        {
            public override void Post(SendOrPostCallback d, object? state)
            {
            }
        }

        [Fact]
        public static async Task ATokenThatIsCancelledWhileTheWaitIsAddedEndsIt()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            for (int round = 0; round < 200; round++)
            {
                using var cancel = new CancellationTokenSource();
                var canceller = new Thread(cancel.Cancel);
                canceller.Start();
                var asking = client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, cancellationToken: cancel.Token);
                var failure = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Within.Time(Prompt, asking));
                Assert.Equal(cancel.Token, failure.CancellationToken);
                canceller.Join();
            }
        }

        [Fact]
        public static async Task WhatOnlyTheLibraryKnowsComesOutOfTheTaskOfAWaitToo()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var asking = client.ConfirmAsync("sandbox-approve", new MfaRequest("?") { ControlCode = "7" });
            var refusal = await Assert.ThrowsAsync<ArgumentException>(() => asking);
            Assert.Equal("request", refusal.ParamName);
            Assert.Equal(MfaErrorCode.InvalidArgument, Assert.IsType<MfaException>(refusal.InnerException).Code);
            Eventually.True(() => client.Waiter == null, "and no thread stays");
            Assert.Equal(0, sandbox.RequestCount());
        }

        [Fact]
        public static async Task ALogMayAskFromTheWaitsThread()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            var asked = new TaskCompletionSource<Task<MfaTransaction>>(TaskCreationOptions.RunContinuationsAsynchronously);
            HyperIdClient? client = null;
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (_, _) =>
            {
                if (Thread.CurrentThread.Name == "MfaClient waits" && !asked.Task.IsCompleted)
                {
                    asked.SetResult(client!.ConfirmAsync("sandbox-deny#of-the-log", Question, CallTests.Quick));
                }
            };
            using (client = new HyperIdClient(options))
            {
                Assert.True((await client.ConfirmAsync("sandbox-approve", Question, CallTests.Quick)).IsApproved);
                Assert.Equal(MfaDecision.Denied, (await await asked.Task).Decision);
            }
        }

        [Fact]
        public static async Task AnInterruptInACallbackCostsNoAnswer()
        {
            using var sandbox = new Sandbox(strict: true);
            var options = sandbox.ClientOptions();
            options.LogLevel = MfaLogLevel.Debug;
            options.Log = (_, _) =>
            {
                if (Thread.CurrentThread.Name == "MfaClient waits")
                {
                    Thread.CurrentThread.Interrupt();
                }
            };
            using var client = new HyperIdClient(options);
            var calls = Enumerable.Range(0, 100).Select(n => client.ConfirmAsync("sandbox-approve#" + n, Question, CallTests.Quick)).ToList();
            foreach (var call in calls)
            {
                await Within.Time(Eventually.Soon, call);
                Assert.True((await call).IsApproved);
            }
        }
    }

    /// <summary>A failure of the library's own, brought about from outside.</summary>
    internal static class Injected
    {
        /// <summary>Another thread drives the client's waiter, so that the client's own is refused.</summary>
        internal static unsafe void Busy(HyperIdClient client)
        {
            var watch = Stopwatch.StartNew();
            while (client.Waiter is { } waiter)
            {
                var happened = Native.mfa_event.Initial;
                var transaction = Native.mfa_transaction.Initial;
                try
                {
                    // As soon as it gets in.
                    Native.mfa_waiter_wake(waiter);
                    _ = Native.mfa_waiter_next(waiter, 20, &happened, &transaction, null, null);
                }
                catch (ObjectDisposedException)
                {
                    return;
                }
                Assert.True(watch.Elapsed < Eventually.Soon, "it is refused, in time");
            }
        }
    }
}
