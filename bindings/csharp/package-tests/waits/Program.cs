// Many waits at once, with all that may become of them; at last it ends while some are pending.
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient;

internal static class Program
{
    private static readonly MfaRequest Question = new("Sign in?");
    private static readonly MfaWaitOptions Quick = new() { MinInterval = TimeSpan.FromMilliseconds(50) };
    private static readonly string Run = "#" + Guid.NewGuid().ToString("N") + "-";
    private static readonly AsyncLocal<string?> Who = new();

    private static async Task<int> Main()
    {
        var client = NewClient();
        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(n =>
            client.ConfirmAsync((n % 2 == 0 ? "sandbox-approve" : "sandbox-deny") + Run + n, Question, Quick)));
        Expect(answers.Where((answer, n) => answer.IsApproved == (n % 2 == 0)).Count() == 200, "each has its own answer");
        await Cancels(client);
        await Callbacks(client);
        await Fails(client);
        Expect(client.ConfirmAsync("sandbox-approve" + Run + "result", Question, Quick).Result.IsApproved, "blocked in Result");
        var pending = Enumerable.Range(0, 50).Select(n => client.ConfirmAsync(
            "sandbox-never" + Run + "pending" + n, Question, Quick, timeout: TimeSpan.FromHours(1))).ToList();
        var back = new MfaWaitOptions { MinInterval = Quick.MinInterval, WithdrawOnCancel = true };
        var ids = new ConcurrentDictionary<string, long>();
        var toWithdraw = Enumerable.Range(0, 5).Select(n => "sandbox-never" + Run + "back" + n).ToDictionary(token => token, token =>
            client.ConfirmAsync(token, Question, back, new Reports(soFar => ids[token] = soFar.Id), timeout: TimeSpan.FromHours(1)));
        await client.ConfirmAsync("sandbox-approve-after-1000" + Run + "last", Question, Quick);
        while (ids.Count < toWithdraw.Count)
        {
            await Task.Delay(5);
        }
        Expect(pending.All(wait => !wait.IsCompleted), "they wait");
        client.Dispose();
        var other = NewClient();
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            // The client's own handler has returned: all is taken back that was to be.
            Expect(ids.All(id => other.GetStatus(id.Key, id.Value).Decision == MfaDecision.Cancelled), "withdrawn at the program's end");
            var withdrawn = Task.WhenAll(toWithdraw.Values.Select(wait => Thrown<MfaException>(wait)));
            Expect(withdrawn.Wait(TimeSpan.FromSeconds(20)), "those that were withdrawn end with the program");
            Expect(withdrawn.Result.All(end => end.Code == MfaErrorCode.Cancelled && end.Withdrawn), "and say so");
            // Nobody waits on for them, and nothing that waits for them is stuck.
            var ends = Task.WhenAll(pending.Select(wait => Thrown<MfaException>(wait)));
            Expect(ends.Wait(TimeSpan.FromSeconds(20)), "pending waits end with the program");
            Expect(ends.Result.All(end => end.Code == MfaErrorCode.Cancelled && end.Transaction?.Id > 0), "with what was known");
            Console.WriteLine("all well");
        };
        return 0;
    }

    private static HyperIdClient NewClient() => new(new MfaClientOptions
    {
        BaseUrl = Environment.GetEnvironmentVariable("MFA_BASE_URL"),
        AllowLoopbackHttp = true,
    });

    private static async Task Cancels(HyperIdClient client)
    {
        var ids = new ConcurrentDictionary<int, long>();
        var cancels = Enumerable.Range(0, 50).Select(_ => new CancellationTokenSource()).ToList();
        var waits = cancels.Select((cancel, n) => client.ConfirmAsync(
            "sandbox-never" + Run + "c" + n, Question, Quick, new Reports(soFar => ids[n] = soFar.Id), cancellationToken: cancel.Token)).ToList();
        while (ids.Count < waits.Count)
        {
            await Task.Delay(5);
        }
        cancels.ForEach(cancel => cancel.Cancel());
        for (int n = 0; n < waits.Count; n++)
        {
            var cancelled = await Thrown<OperationCanceledException>(waits[n]);
            Expect(cancelled.CancellationToken == cancels[n].Token && waits[n].IsCanceled, "its own cancel");
            Expect(cancelled.InnerException is MfaException { Code: MfaErrorCode.Cancelled, Transaction: { } known } && known.Id == ids[n], "its own facts");
        }
    }

    private static async Task Callbacks(HyperIdClient client)
    {
        var seen = new ConcurrentQueue<string?>();
        Who.Value = "me";
        string fresh = "sandbox-approve" + Run + "fresh";
        var answer = await client.ConfirmAsync(
            "sandbox-token-expires-after-1+approve-after-500" + Run + "fresh",
            Question,
            Quick,
            new Reports(_ => seen.Enqueue(Who.Value)),
            async _ =>
            {
                await Task.Yield();
                seen.Enqueue(Who.Value);
                return fresh;
            });
        Expect(answer.IsApproved, "with a fresh token");
        Expect(seen.Count > 3 && seen.All(who => who == "me"), "in the caller's context");
    }

    private static async Task Fails(HyperIdClient client)
    {
        var failure = await Thrown<MfaException>(client.ConfirmAsync(
            "sandbox-never" + Run + "t", Question, Quick, timeout: TimeSpan.FromMilliseconds(500)));
        Expect(failure.Code == MfaErrorCode.Timeout && failure.Transaction?.Id > 0, "a timeout");
        await Thrown<FormatException>(client.ConfirmAsync(
            "sandbox-never" + Run + "f", Question, Quick, new Reports(_ => throw new FormatException())));
        var refused = await Thrown<ArgumentException>(client.ConfirmAsync("sandbox-never", new MfaRequest("?") { ControlCode = "7" }));
        Expect(refused.ParamName == "request", "a control code of one digit");
    }

    private static async Task<TException> Thrown<TException>(Task call)
        where TException : Exception
    {
        try
        {
            await call;
        }
        catch (TException e)
        {
            return e;
        }
        throw new InvalidOperationException("it should have failed");
    }

    private static void Expect(bool holds, string what)
    {
        if (!holds)
        {
            throw new InvalidOperationException(what);
        }
    }

    private sealed class Reports(Action<MfaTransaction> then) : IProgress<MfaTransaction>
    {
        public void Report(MfaTransaction value) => then(value);
    }
}
