// What a person can confirm with: HyperID's app and second factors, and Capillary's registration.
//
//     check (--url BASE_URL | --production) [--token TOKEN]
//           [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]
//
// The tokens may also stand in the environment's MFA_TOKEN and MFA_AUTHORIZED_TOKEN. HyperID's
// production is asked only where --production says so.
//
// Exit status: 0 it was answered, 2 something went wrong.
using System;
using System.Collections.Generic;
using MfaClient;

internal static class Program
{
    private const string Usage = "usage: check (--url BASE_URL | --production) [--token TOKEN]\n" +
        "             [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]";

    private static readonly string[] Options =
    {
        "--url", "--token", "--capillary-url", "--brand", "--device", "--authorized-token",
    };

    private static int Main(string[] words)
    {
        var told = new Dictionary<string, string>
        {
            ["--token"] = Environment.GetEnvironmentVariable("MFA_TOKEN") ?? "",
            ["--authorized-token"] = Environment.GetEnvironmentVariable("MFA_AUTHORIZED_TOKEN") ?? "",
        };
        bool production = false;
        for (int i = 0; i < words.Length; i++)
        {
            bool hasValue = i + 1 < words.Length && !words[i + 1].StartsWith("--", StringComparison.Ordinal);
            if (words[i] == "--production")
            {
                production = true;
            }
            else if (Array.IndexOf(Options, words[i]) >= 0 && hasValue)
            {
                told[words[i]] = words[++i];
            }
            else
            {
                return Refuse($"what is '{words[i]}' here?");
            }
        }
        string? Told(string name) => told.TryGetValue(name, out string? value) ? value : null;
        if ((Told("--url") == null) != production)
        {
            return Refuse("name the server with --url, or say --production");
        }

        try
        {
            // http:// is only ever allowed to this machine: for the sandbox.
            using (var client = new HyperIdClient(new MfaClientOptions { BaseUrl = Told("--url"), AllowLoopbackHttp = true }))
            {
                Console.WriteLine("HyperID: the app is " + (client.IsAvailable(told["--token"]) ? "linked" : "not linked"));
                Console.WriteLine("HyperID: second factors: " + client.GetTwoFactorTypes(told["--token"]).Methods);
            }
            if (Told("--capillary-url") is { } url)
            {
                using var client = new CapillaryClient(new MfaClientOptions { BaseUrl = url, AllowLoopbackHttp = true });
                var registration = client.GetMfaRegistration(
                    Told("--brand") ?? "", Told("--device") ?? "", told["--authorized-token"]);
                Console.WriteLine("Capillary: MFA is " + registration.State switch
                {
                    CapillaryRegistrationState.Registered => "registered",
                    CapillaryRegistrationState.NotRegistered => "not registered",
                    CapillaryRegistrationState.NotEnabled => "not enabled for the brand",
                    _ => "unknown",
                });
            }
            return 0;
        }
        catch (ArgumentException e)
        {
            return Refuse(e.Message);
        }
        catch (MfaException e)
        {
            Console.Error.WriteLine($"{MfaLibrary.NameOf(e.Code)}: {e.Message}");
            Console.Error.WriteLine(MfaLibrary.MessageOf(e.Code));
            return 2;
        }
    }

    private static int Refuse(string why)
    {
        Console.Error.WriteLine(why);
        Console.Error.WriteLine(Usage);
        return 2;
    }
}
