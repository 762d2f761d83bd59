// Starts the server of the package's page as its user does, asks it as a browser does, and says what it was told.
using System;
using System.Diagnostics;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading.Tasks;

var start = new ProcessStartInfo("dotnet", "page/bin/Debug/net10.0/page.dll --urls http://127.0.0.1:0") { RedirectStandardOutput = true };
start.Environment["Mfa__BaseUrl"] = Environment.GetEnvironmentVariable("MFA_BASE_URL");
start.Environment["ASPNETCORE_ENVIRONMENT"] = "Development";
using var server = Process.Start(start)!;
try
{
    const string Says = "Now listening on: ";
    string? line;
    do
    {
        line = await server.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("the server did not start");
    }
    while (!line.Contains(Says, StringComparison.Ordinal));
    var reading = server.StandardOutput.ReadToEndAsync(); // so that it is never stuck in its log
    var payments = new Uri(line[(line.IndexOf(Says, StringComparison.Ordinal) + Says.Length)..] + "/payments");
    using var browser = new HttpClient();

    async Task<HttpStatusCode> Pay(AuthenticationHeaderValue? who)
    {
        using var payment = new HttpRequestMessage(HttpMethod.Post, payments);
        payment.Headers.Authorization = who;
        using var answer = await browser.SendAsync(payment);
        return answer.StatusCode;
    }

    foreach (var nobody in new[] { null, new AuthenticationHeaderValue("Bearer"), new AuthenticationHeaderValue("Bearer", "two words") })
    {
        Expect(HttpStatusCode.Unauthorized, await Pay(nobody));
    }
    Expect(HttpStatusCode.Unauthorized, await Pay(new("Bearer", "sandbox-token-expired")));
    Expect(HttpStatusCode.Conflict, await Pay(new("Bearer", "sandbox-lose-start")));
    Expect(HttpStatusCode.ServiceUnavailable, await Pay(new("Bearer", "sandbox-no-app")));
    var status = await Pay(new("Bearer", Environment.GetEnvironmentVariable("MFA_TOKEN")));
    Console.WriteLine(status switch
    {
        HttpStatusCode.OK => "approved",
        HttpStatusCode.Forbidden => "not approved: Denied",
        _ => "the server failed: " + status,
    });
    return 0;
}
finally
{
    server.Kill();
}

static void Expect(HttpStatusCode expected, HttpStatusCode status)
{
    if (status != expected)
    {
        throw new InvalidOperationException($"{status}, not {expected}");
    }
}
