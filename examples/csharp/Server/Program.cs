// A web server: many people look at their phones at once, and one thread waits for all of them.
//
//     server (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [--save FILE] [--listen URL] [QUESTION]
//
//     POST /sign-ins          asks somebody; answers with a number, and the code that the phone must show
//     GET  /sign-ins/NUMBER   how it stands: what the page in the browser would show
//
// It asks all with the same token, which may also stand in the environment's MFA_TOKEN; a real server has one for each.
// HyperID's production is asked only where --production says so. It listens on a free port of this machine, or where
// --listen says.
//
// SIGTERM and Ctrl-C stop it, and nothing is lost: FILE tells who is being asked, and the next run with the same FILE goes
// on waiting for those whose requests are on their phones. Without a FILE nobody would come back for them, so they are
// withdrawn.
//
// Exit status: 0 it was told to stop, 2 something went wrong.
using System;
using System.IO;
using System.Linq;
using MfaClient;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

const string Usage = "usage: server (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [--save FILE]\n" +
    "              [--listen URL] [QUESTION]";

try
{
    var settings = Settings.From(args);
    using var notes = settings.File == null ? null : Notes.Open(settings.File);
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.SetMinimumLevel(LogLevel.Warning);
    builder.WebHost.UseUrls(settings.Listen);
    await using var app = builder.Build();

    // One client for the program. http:// is only ever allowed to this machine: for the sandbox.
    using var client = new HyperIdClient(new MfaClientOptions
    {
        BaseUrl = settings.Url,
        AllowLoopbackHttp = true,
        Log = (level, line) => app.Logger.Log(level == MfaLogLevel.Error ? LogLevel.Error : LogLevel.Warning, "{Line}", line),
    });
    using var signIns = new SignIns(client, settings, notes);
    signIns.GoOn();
    app.MapPost("/sign-ins", () => signIns.Ask() is { } asked
        ? Results.Accepted($"/sign-ins/{asked.Number}", new { asked.Number, asked.Code })
        : Results.Problem("The server restarts; sign in again in a moment.", statusCode: StatusCodes.Status503ServiceUnavailable));
    app.MapGet("/sign-ins/{number:int}", (int number) =>
        signIns.Find(number) is { } found ? Results.Ok(new { found.State, found.IsApproved }) : Results.NotFound());

    app.Lifetime.ApplicationStopping.Register(signIns.TakeNoMore);
    await app.StartAsync();
    Console.WriteLine("Listening on " + app.Urls.First());
    await app.WaitForShutdownAsync();
    await signIns.Stop();
    Console.WriteLine($"{signIns.GoingOn} go on.");
    return 0;
}
catch (ArgumentException e)
{
    Console.Error.WriteLine(e.Message);
    Console.Error.WriteLine(Usage);
    return 2;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
