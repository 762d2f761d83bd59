using System;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;

namespace MfaClient.Tests
{
    public static class CancelTests
    {
        private static readonly MfaRequest Question = new MfaRequest("Sign in?");
        private static readonly TimeSpan Prompt = TimeSpan.FromSeconds(2);

        [Case]
        public static void BeforeTheCall()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            var token = new CancellationToken(canceled: true);
            var failure = Expect.Throws<OperationCanceledException>(
                () => client.IsAvailable("sandbox-approve", cancellationToken: token));
            Expect.Equal(token, failure.CancellationToken);
            Expect.True(client.IsAvailableAsync("sandbox-approve", cancellationToken: token).IsCanceled, "the task");
            Expect.Equal(0L, sandbox.RequestCount(), "requests");
        }

        [Case]
        public static void FromAnotherThread()
        {
            foreach (var call in new Action<HyperIdClient, CancellationToken>[]
            {
                (client, token) => client.IsAvailable("sandbox-silent", cancellationToken: token),
                (client, token) => client.GetTwoFactorTypes("sandbox-silent", cancellationToken: token),
                (client, token) => client.Start("sandbox-silent", Question, cancellationToken: token),
                (client, token) => client.GetStatus("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Cancel("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Wait("sandbox-silent", 7, cancellationToken: token),
                (client, token) => client.Confirm("sandbox-never", Question, cancellationToken: token),
            })
            {
                using var sandbox = new Sandbox(strict: true);
                using var client = new HyperIdClient(sandbox.ClientOptions());
                using var cancel = new CancellationTokenSource();
                var running = Task.Factory.StartNew(() => call(client, cancel.Token), TaskCreationOptions.LongRunning);
                sandbox.WaitForRequests(null, 1, Expect.Soon);
                cancel.Cancel();
                var failure = Expect.Throws<OperationCanceledException>(() => Expect.True(running.Wait(Prompt), "prompt"));
                Expect.Equal(cancel.Token, failure.CancellationToken);
                Expect.Equal(MfaCode.Cancelled, ((MfaException)failure.InnerException!).Code);
            }
        }

        [Case]
        public static void AnAsynchronousCall()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var asking = client.ConfirmAsync("sandbox-never", Question, CallTests.Quick, cancellationToken: cancel.Token);
            long id = sandbox.WaitForTransaction(Expect.Soon);
            sandbox.WaitForRequests("/mfa-client/transaction/status-get", 2, Expect.Soon);
            cancel.Cancel();
            var failure = Expect.Throws<OperationCanceledException>(() => Expect.True(asking.Wait(Prompt), "prompt"));
            Expect.True(asking.IsCanceled, "the task is cancelled, not faulted");
            Expect.Equal(cancel.Token, failure.CancellationToken);
            failure = Expect.Throws<OperationCanceledException>(() => asking.GetAwaiter().GetResult());
            Expect.Equal(id, ((MfaException)failure.InnerException!).Transaction!.Id, "the transaction's id");
            Expect.Equal(0, sandbox.GetTransaction(id).Status, "it goes on: status");
        }

        [Case]
        public static void AStartThatWasSentMayHaveHappened()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var starting = client.StartAsync("sandbox-silent", Question, cancellationToken: cancel.Token);
            sandbox.WaitForRequests(null, 1, Expect.Soon);
            cancel.Cancel();
            var failure = Expect.Throws<OperationCanceledException>(() => starting.GetAwaiter().GetResult());
            Expect.True(((MfaException)failure.InnerException!).OutcomeUnknown, "the outcome is unknown");
        }

        [Case]
        public static void FromAProgressReport()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource();
            var progress = new Reports(_ => cancel.Cancel());
            Expect.Throws<OperationCanceledException>(() => client.Confirm(
                "sandbox-never", Question, CallTests.Quick, progress, cancellationToken: cancel.Token));
            Expect.Equal(1, progress.Seen.Count, "reports");
        }

        [Case]
        public static void ByTime()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            Expect.Within(TimeSpan.FromMilliseconds(200) + Prompt, () => Expect.Throws<OperationCanceledException>(
                () => client.ConfirmAsync("sandbox-never", Question, cancellationToken: cancel.Token).GetAwaiter().GetResult()));
        }

        /// <summary>Cancels that meet the end of a call: either it was cancelled, or it has its answer.</summary>
        [Case]
        public static void RacingWithTheEnd()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            client.IsAvailable("sandbox-approve");
            int cancelled = 0, answered = 0;
            for (int round = 0; round < 1000; round++)
            {
                var cancel = new CancellationTokenSource();
                using var ready = new Barrier(2);
                int spins = round % 500 * 20;
                var thread = new Thread(() =>
                {
                    ready.SignalAndWait();
                    Thread.SpinWait(spins);
                    cancel.Cancel();
                    cancel.Dispose();
                });
                thread.Start();
                var token = cancel.Token;
                ready.SignalAndWait();
                try
                {
                    Expect.True(client.IsAvailable("sandbox-approve", cancellationToken: token), "available");
                    answered++;
                }
                catch (OperationCanceledException)
                {
                    cancelled++;
                }
                catch (ObjectDisposedException)
                {
                    // The source was disposed before the call took its token.
                    cancelled++;
                }
                thread.Join();
            }
            Expect.True(cancelled > 0, "some were cancelled");
            Console.WriteLine($"# {answered} answered, {cancelled} cancelled");
        }
    }
}
