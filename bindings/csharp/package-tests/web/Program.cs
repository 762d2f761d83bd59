// A service with one client for the program; it asks itself once, says what it was told, and ends.
using MfaClient;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddSingleton(services =>
{
    var logger = services.GetRequiredService<ILogger<HyperIdClient>>();
    return new HyperIdClient(new MfaClientOptions
    {
        BaseUrl = builder.Configuration["MFA_BASE_URL"],
        AllowLoopbackHttp = true,
        Log = (level, line) => logger.Log(level == MfaLogLevel.Error ? LogLevel.Error : LogLevel.Warning, "{Line}", line),
    });
});
var app = builder.Build();
app.MapPost("/payments", async (HyperIdClient mfa, HttpContext http) =>
{
    var answer = await mfa.ConfirmAsync(
        http.Request.Headers["X-Token"].ToString(), new MfaRequest("Pay 12.00?"), cancellationToken: http.RequestAborted);
    return answer.IsApproved ? Results.Ok("approved") : Results.Json($"not approved: {answer.Decision}", statusCode: 403);
});
await app.StartAsync();
using var browser = new HttpClient();
using var payment = new HttpRequestMessage(HttpMethod.Post, app.Urls.First() + "/payments");
payment.Headers.Add("X-Token", Environment.GetEnvironmentVariable("MFA_TOKEN"));
using var page = await browser.SendAsync(payment);
Console.WriteLine((await page.Content.ReadAsStringAsync()).Trim('"'));
await app.StopAsync();
