// Asks a person to confirm something on their phone, and waits for the answer.
//
//     confirm [--url BASE_URL] [--token TOKEN] [--timeout SECONDS] [QUESTION]
//
// The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot read it off the
// list of processes. Without --url it is HyperID's production that is asked.
//
// Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
using System;
using System.Threading;
using System.Threading.Tasks;
using MfaClient;

internal static class Program
{
    private static async Task<int> Main(string[] words)
    {
        string? url = null;
        string token = Environment.GetEnvironmentVariable("MFA_TOKEN") ?? "";
        string question = "Sign in?";
        var timeout = TimeSpan.FromSeconds(120);
        for (int i = 0; i < words.Length; i++)
        {
            switch (words[i])
            {
                case "--url" when i + 1 < words.Length:
                    url = words[++i];
                    break;
                case "--token" when i + 1 < words.Length:
                    token = words[++i];
                    break;
                case "--timeout" when i + 1 < words.Length && double.TryParse(words[i + 1], out double seconds):
                    timeout = TimeSpan.FromSeconds(seconds);
                    i++;
                    break;
                default:
                    question = words[i];
                    break;
            }
        }

        // Ctrl-C ends the call instead of the program.
        using var interrupted = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            interrupted.Cancel();
        };

        try
        {
            // http:// is only ever allowed to this machine: for the sandbox.
            using var client = new HyperIdClient(new MfaClientOptions { BaseUrl = url, AllowLoopbackHttp = true });
            string code = MfaLibrary.NewControlCode();
            Console.Error.WriteLine($"Confirm on your phone if it shows the code {code}.");
            var request = new MfaRequest(question) { Code = code };
            // When time is up, and after Ctrl-C, take the request back instead of leaving it on the phone. If the person
            // answers at that very moment, their answer counts.
            var wait = new WaitOptions { CancelOnTimeout = true, WithdrawOnCancel = true };
            var answer = await client.ConfirmAsync(
                token, request, wait, new ShowProgress(), timeout, interrupted.Token);

            // The one test that opens a door.
            Console.WriteLine(answer.IsApproved ? "approved" : $"not approved: {answer.Decision}");
            return answer.IsApproved ? 0 : 1;
        }
        catch (OperationCanceledException e)
        {
            Console.WriteLine("not approved: interrupted");
            ExplainInterruption(e.InnerException as MfaException);
            return 1;
        }
        catch (MfaException e)
        {
            Console.Error.WriteLine($"{MfaLibrary.NameOf(e.Code)}: {e.Message}");
            Console.Error.WriteLine(MfaLibrary.MessageOf(e.Code));
            if (e.OutcomeUnknown)
            {
                Console.Error.WriteLine("The person may have been asked all the same: do not ask again blindly.");
            }
            return 2;
        }
    }

    /// <summary>Whether the request is off the phone again.</summary>
    private static void ExplainInterruption(MfaException? why)
    {
        if (why?.Withdrawn == true)
        {
            Console.Error.WriteLine("The request was withdrawn from the phone.");
        }
        else if (why?.Transaction is { } known)
        {
            Console.Error.WriteLine($"Request {known.Id} could not be withdrawn: it stays on the phone until it expires.");
        }
        else if (why?.OutcomeUnknown == true)
        {
            Console.Error.WriteLine("The person may have been asked all the same: do not ask again blindly.");
        }
    }

    /// <summary>System.Progress would do as well, but tells its news on other threads.</summary>
    private sealed class ShowProgress : IProgress<Transaction>
    {
        public void Report(Transaction soFar) => Console.Error.WriteLine(
            soFar.Polls == 0
                ? $"Request {soFar.Id} is on the phone." // a server program would save the id here
                : $"{soFar.Elapsed.TotalSeconds:0} s, {soFar.Polls} polls: {soFar.Decision}");
    }
}
