// Asks a person to confirm something on their phone, and waits for the answer.
//
//     confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]
//
// The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot read it off the
// list of processes. HyperID's production is asked only where --production says so.
//
// Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
using System;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using MfaClient;

internal static class Program
{
    private const string Usage =
        "usage: confirm (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]";

    private static async Task<int> Main(string[] words)
    {
        string? url = null;
        bool production = false;
        string token = Environment.GetEnvironmentVariable("MFA_TOKEN") ?? "";
        string question = "Sign in?";
        var timeout = TimeSpan.FromSeconds(120);
        for (int i = 0; i < words.Length; i++)
        {
            bool hasValue = i + 1 < words.Length && !words[i + 1].StartsWith("--", StringComparison.Ordinal);
            switch (words[i])
            {
                case "--url" when hasValue:
                    url = words[++i];
                    break;
                case "--production":
                    production = true;
                    break;
                case "--token" when hasValue:
                    token = words[++i];
                    break;
                case "--timeout" when hasValue && IsTime(words[i + 1], out timeout):
                    i++;
                    break;
                case { Length: > 0 } word when word[0] != '-' && i == words.Length - 1:
                    question = word;
                    break;
                default:
                    return Refuse($"what is '{words[i]}' here?");
            }
        }
        if ((url == null) != production)
        {
            return Refuse("name the server with --url, or say --production");
        }
        if (token.Length == 0)
        {
            return Refuse("there is no token");
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
            var request = new MfaRequest(question) { ControlCode = code };
            // When time is up, and after Ctrl-C, take the request back instead of leaving it on the phone. If the person
            // answers at that very moment, their answer counts.
            var wait = new MfaWaitOptions { CancelOnTimeout = true, WithdrawOnCancel = true };
            var answer = await client.ConfirmAsync(
                token, request, wait, new ShowProgress(), timeout: timeout, cancellationToken: interrupted.Token);

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
        catch (ArgumentException e)
        {
            return Refuse(e.Message);
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

    private static int Refuse(string why)
    {
        Console.Error.WriteLine(why);
        Console.Error.WriteLine(Usage);
        return 2;
    }

    private static bool IsTime(string text, out TimeSpan time)
    {
        bool isNumber = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds);
        bool isTime = isNumber && seconds > 0 && seconds <= 86400;
        time = TimeSpan.FromSeconds(isTime ? seconds : 1);
        return isTime;
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
    private sealed class ShowProgress : IProgress<MfaTransaction>
    {
        public void Report(MfaTransaction soFar) => Console.Error.WriteLine(
            soFar.Polls == 0
                ? $"Request {soFar.Id} is on the phone." // a server program would save the id here
                : $"{soFar.Elapsed.TotalSeconds:0} s, {soFar.Polls} polls: {soFar.Decision}");
    }
}
