using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient;

/// <summary>Somebody who wants to sign in, and is asked on the phone.</summary>
internal sealed class SignIn
{
    internal SignIn(int number, string? code)
    {
        Number = number;
        Code = code;
    }

    internal int Number { get; }

    /// <summary>The request's, once it is known.</summary>
    internal long Id { get; set; }

    /// <summary>The person approves only if the phone shows the same; null: the run before has shown it.</summary>
    internal string? Code { get; }

    /// <summary>What the person's page shows.</summary>
    internal string State { get; set; } = "asking";

    /// <summary>Lets the person in.</summary>
    internal bool IsApproved { get; set; }

    /// <summary>The id is known, or never will be.</summary>
    internal TaskCompletionSource Settled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal Task Ended { get; set; } = Task.CompletedTask;
}

/// <summary>All of them: asked, waited for, and left to the next run.</summary>
internal sealed class SignIns : IDisposable
{
    private static readonly TimeSpan LastLook = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ToLearnTheId = TimeSpan.FromSeconds(2);
    private readonly HyperIdClient client;
    private readonly Settings settings;
    private readonly Notes? notes;
    private readonly MfaWaitOptions wait;
    private readonly ConcurrentDictionary<int, SignIn> all = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly object gate = new();
    private int last;
    private bool takesNoMore;
    private int goingOn;

    internal SignIns(HyperIdClient client, Settings settings, Notes? notes)
    {
        this.client = client;
        this.settings = settings;
        this.notes = notes;
        // When time is up, the request is taken back instead of left on the phone; when the server stops, only if no other
        // run comes back for it.
        wait = new MfaWaitOptions { CancelOnTimeout = true, WithdrawOnCancel = notes == null };
    }

    /// <summary>Whose requests are left to the next run.</summary>
    internal int GoingOn => goingOn;

    internal SignIn? Find(int number) => all.TryGetValue(number, out var found) ? found : null;

    /// <summary>Null: the server stops.</summary>
    internal SignIn? Ask()
    {
        SignIn asked;
        lock (gate)
        {
            if (takesNoMore)
            {
                return null;
            }
            asked = new SignIn(++last, MfaLibrary.NewControlCode());
            all[asked.Number] = asked;
        }
        notes?.Asking(asked.Number, DateTimeOffset.UtcNow + settings.Timeout);
        var request = new MfaRequest(settings.Question) { ControlCode = asked.Code };
        // It has its own life: not the browser's request, but the person's answer ends it.
        asked.Ended = End(asked, client.ConfirmAsync(
            settings.Token, request, wait, new Saving(asked, notes), timeout: settings.Timeout, cancellationToken: stopping.Token));
        return asked;
    }

    /// <summary>With those whom an earlier run has asked. Nobody is asked again.</summary>
    internal void GoOn()
    {
        foreach (var left in notes?.Left ?? [])
        {
            last = Math.Max(last, left.Person);
            var signIn = all[left.Person] = new SignIn(left.Person, code: null);
            if (left.Id == 0)
            {
                OutcomeUnknown(signIn);
                continue;
            }
            // It may have been answered while no server was running.
            var remaining = left.Until - DateTimeOffset.UtcNow;
            signIn.State = "on your phone";
            signIn.Settled.TrySetResult();
            signIn.Ended = End(signIn, client.WaitAsync(
                settings.Token, left.Id, wait, timeout: remaining > LastLook ? remaining : LastLook, cancellationToken: stopping.Token));
        }
        if (last > 0)
        {
            Console.WriteLine($"Going on with {all.Values.Count(one => !one.Ended.IsCompleted)} requests.");
        }
    }

    internal void TakeNoMore()
    {
        lock (gate)
        {
            takesNoMore = true;
        }
    }

    /// <summary>A request that is on its way gets a moment, so that its id can be saved; then nobody is waited for.</summary>
    internal async Task Stop()
    {
        TakeNoMore();
        await Task.WhenAny(Task.WhenAll(all.Values.Select(one => one.Settled.Task)), Task.Delay(ToLearnTheId));
        stopping.Cancel();
        await Task.WhenAll(all.Values.Select(one => one.Ended));
    }

    public void Dispose() => stopping.Dispose();

    private async Task End(SignIn signIn, Task<MfaTransaction> call)
    {
        try
        {
            var answer = await call;
            // The only question that opens the door: neither a return nor a decision says that somebody approved. Opening
            // it twice must do no harm, should the server die before it has noted the end.
            signIn.IsApproved = answer.IsApproved;
            Tell(signIn, answer.IsApproved ? "approved, welcome" : InWords(answer.Decision));
            notes?.Ended(signIn.Number);
        }
        catch (OperationCanceledException e)
        {
            WasStopped(signIn, e.InnerException as MfaException);
        }
        catch (MfaException e) when (e.OutcomeUnknown)
        {
            OutcomeUnknown(signIn);
        }
        catch (Exception e)
        {
            Console.Error.WriteLine(e is MfaException failure ? $"{MfaLibrary.NameOf(failure.Code)}: {e.Message}" : e.Message);
            // An id that could not be saved is lost with this run.
            bool isOnThePhone = signIn.Id != 0 && e is not MfaException && !await TakeBack(signIn.Id);
            Tell(signIn, isOnThePhone ? "this did not work; decline the request, and sign in again" : "this did not work; sign in again");
            notes?.Ended(signIn.Number);
        }
        finally
        {
            signIn.Settled.TrySetResult();
        }
    }

    /// <summary>Whether the request is gone from the phone.</summary>
    private async Task<bool> TakeBack(long id)
    {
        try
        {
            await client.CancelAsync(settings.Token, id, timeout: LastLook);
            return true;
        }
        catch (MfaException e)
        {
            Console.Error.WriteLine($"{MfaLibrary.NameOf(e.Code)}: {e.Message}");
            return false;
        }
    }

    private void WasStopped(SignIn signIn, MfaException? why)
    {
        if (why?.Withdrawn == true)
        {
            Tell(signIn, "the server restarts, your request was taken back; sign in again");
        }
        else if (why?.Transaction != null && notes != null)
        {
            Interlocked.Increment(ref goingOn);
            return; // It stays noted.
        }
        else if (why?.Transaction != null)
        {
            Tell(signIn, "the server stops, and your request could not be taken back; decline it");
        }
        else if (why?.OutcomeUnknown == true)
        {
            OutcomeUnknown(signIn);
            return;
        }
        else
        {
            Tell(signIn, "the server restarts, you were not asked; sign in again");
        }
        notes?.Ended(signIn.Number);
    }

    /// <summary>
    /// The request may be on the phone, and nobody knows its id: nothing reads its answer, nothing can withdraw it. To ask
    /// again at once would show the person two requests.
    /// </summary>
    private void OutcomeUnknown(SignIn signIn)
    {
        Tell(signIn, "a request may have reached your phone; decline it, and sign in again when it has gone");
        signIn.Settled.TrySetResult();
        // Who can still be told of it while the server stops? So the next run says it again.
        if (!takesNoMore)
        {
            notes?.Ended(signIn.Number);
        }
    }

    private static void Tell(SignIn signIn, string state)
    {
        signIn.State = state;
        Console.WriteLine($"{signIn.Number}: {state}");
    }

    private static string InWords(MfaDecision decision) => decision switch
    {
        MfaDecision.Denied => "you denied it",
        MfaDecision.Expired => "the request expired before you answered",
        MfaDecision.Cancelled => "the request was cancelled",
        _ => "the request failed",
    };

    /// <summary>The first report brings the id. It has returned before anything else becomes of the call.</summary>
    private sealed class Saving(SignIn signIn, Notes? notes) : IProgress<MfaTransaction>
    {
        public void Report(MfaTransaction soFar)
        {
            if (!signIn.Settled.Task.IsCompleted)
            {
                signIn.Id = soFar.Id;
                notes?.Started(signIn.Number, soFar.Id);
                signIn.State = "on your phone";
                signIn.Settled.TrySetResult();
            }
        }
    }
}
