// What a person can confirm with: HyperID's app and second factors, and Capillary's registration.
//
//     check [--url BASE_URL] [--token TOKEN]
//           [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]
//
// The tokens may also stand in the environment's MFA_TOKEN and MFA_AUTHORIZED_TOKEN. Without --url it is HyperID's
// production that is asked.
//
// Exit status: 0 it was answered, 2 something went wrong.
using System;
using System.Collections.Generic;
using MfaClient;

internal static class Program
{
    private static int Main(string[] words)
    {
        var told = new Dictionary<string, string>
        {
            ["--token"] = Environment.GetEnvironmentVariable("MFA_TOKEN") ?? "",
            ["--authorized-token"] = Environment.GetEnvironmentVariable("MFA_AUTHORIZED_TOKEN") ?? "",
        };
        for (int i = 0; i + 1 < words.Length; i += 2)
        {
            told[words[i]] = words[i + 1];
        }
        string? Told(string name) => told.TryGetValue(name, out string? value) ? value : null;

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
                    RegistrationState.Registered => "registered",
                    RegistrationState.NotRegistered => "not registered",
                    RegistrationState.NotEnabled => "not enabled for the brand",
                    _ => "unknown",
                });
            }
            return 0;
        }
        catch (MfaException e)
        {
            Console.Error.WriteLine($"{MfaLibrary.NameOf(e.Code)}: {e.Message}");
            Console.Error.WriteLine(MfaLibrary.MessageOf(e.Code));
            return 2;
        }
    }
}
