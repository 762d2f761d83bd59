using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Linq;
#if NET
using System.Net;
using System.Net.Http;
#endif
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>The examples as a user runs them: a process of its own, with the library beside the program.</summary>
    public static class ExampleTests
    {
        [Theory]
        [InlineData("sandbox-approve", 0, "approved")]
        [InlineData("sandbox-deny", 1, "not approved: Denied")]
        [InlineData("sandbox-token-expired", 2, "TokenExpired")]
        public static async Task Confirm(string token, int status, string says)
        {
            using var sandbox = new Sandbox(strict: true);
            using var program = new Example("Confirm", token, "--url", sandbox.HyperIdUrl, "--timeout", "20");
            Assert.Contains(says, await program.Ends(status), StringComparison.Ordinal);
        }

        [Theory]
        [InlineData("Confirm", "--urll", "http://127.0.0.1:1")]
        [InlineData("Confirm", "--url")]
        [InlineData("Confirm", "--help")]
        [InlineData("Confirm", "Pay?")]
        [InlineData("Confirm", "--url", "--timeout", "5")]
        [InlineData("Confirm", "--url", "http://127.0.0.1:1", "--timeout", "soon")]
        [InlineData("Confirm", "--url", "http://127.0.0.1:1", "Pay", "12?")]
        [InlineData("Check", "--urll", "http://127.0.0.1:1")]
        [InlineData("Check", "--url")]
        [InlineData("Check")]
        public static async Task WhatIsMisspeltOrLeftOutIsRefusedAndAsksNobody(string name, params string[] words)
        {
            using var program = new Example(name, "sandbox-approve", words);
            string said = await program.Ends(2);
            Assert.Contains("usage: " + name.ToLowerInvariant(), said, StringComparison.Ordinal);
            Assert.DoesNotContain("your phone", said, StringComparison.Ordinal);
        }

        [Fact]
        public static async Task Check()
        {
            using var sandbox = new Sandbox(strict: true);
            using var program = new Example(
                "Check", "sandbox-approve", "--url", sandbox.HyperIdUrl, "--capillary-url", sandbox.CapillaryUrl,
                "--brand", "demo-brand", "--device", "d", "--authorized-token", "sandbox-registered");
            Assert.Contains("Capillary: MFA is registered", await program.Ends(0), StringComparison.Ordinal);
        }

#if NET // Mono handles Ctrl-C on a terminal alone.
        [Fact]
        public static async Task InterruptingConfirm()
        {
            Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no kill");
            using var sandbox = new Sandbox(strict: true);
            using var program = new Example("Confirm", "sandbox-never", "--url", sandbox.HyperIdUrl);
            await program.Says("is on the phone.");
            program.Send("INT");
            string said = await program.Ends(1);
            Assert.Contains("not approved: interrupted", said, StringComparison.Ordinal);
            Assert.Contains("was withdrawn", said, StringComparison.Ordinal);
        }
#endif

#if NET // There is no ASP.NET on Mono.
        [Theory]
        [InlineData]
        [InlineData("--url")]
        [InlineData("--urll", "http://127.0.0.1:1")]
        [InlineData("--url", "http://127.0.0.1:1", "--production")]
        [InlineData("--url", "http://127.0.0.1:1", "--timeout", "soon")]
        [InlineData("--url", "http://127.0.0.1:1", "--listen", "here")]
        [InlineData("--url", "http://127.0.0.1:1", "--save")]
        [InlineData("--url", "http://127.0.0.1:1", "Pay", "12?")]
        public static async Task TheServerRefusesWhatIsMisspeltOrLeftOut(params string[] words)
        {
            using var program = new Example("Server", "sandbox-approve", words);
            string said = await program.Ends(2);
            Assert.Contains("usage: server", said, StringComparison.Ordinal);
            Assert.DoesNotContain("Listening", said, StringComparison.Ordinal);
        }

        [Fact]
        public static async Task AServerThatRestartsLosesNoAnswerAndAsksNobodyTwice()
        {
            Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no kill");
            const int People = 200;
            using var sandbox = new Sandbox(strict: true);
            using var notes = new Scratch();
            // Long enough for all starts on a busy machine; who is quicker is counted.
            const string Token = "sandbox-approve-after-5000";
            int before, left;
            using (var program = Server(Token, sandbox, notes))
            {
                using var browser = await program.Browser();
                for (int person = 0; person < People; person++)
                {
                    await browser.Post("/sign-ins");
                }
                Eventually.True(() => sandbox.PushCount == People, "all are asked");
                program.Send("TERM");
                string said = await program.Ends(0);
                before = Count(said, "approved, welcome");
                left = People - before;
                Assert.True(left > 0, "somebody has not answered yet");
                Assert.Contains($"{left} go on.", said, StringComparison.Ordinal);
            }
            using (var program = Server(Token, sandbox, notes))
            {
                using var browser = await program.Browser();
                await program.Says($"Going on with {left} requests.");
                await Task.Run(() => Eventually.True(() => Count(program.Output, "approved, welcome") == left, "all have answered"));
                program.Send("TERM");
                Assert.Contains("0 go on.", await program.Ends(0), StringComparison.Ordinal);
            }
            using (var program = Server(Token, sandbox, notes))
            {
                using var browser = await program.Browser();
                program.Send("TERM");
                Assert.DoesNotContain("Going on", await program.Ends(0), StringComparison.Ordinal);
            }
            Assert.Equal(People, sandbox.PushCount);
        }

        [Fact]
        public static async Task TheServersPageTellsHowItStands()
        {
            using var sandbox = new Sandbox(strict: true);
            using var program = new Example("Server", "sandbox-phone", "--url", sandbox.HyperIdUrl);
            using var browser = await program.Browser();
            string asked = await browser.Post("/sign-ins");
            long id = sandbox.WaitForTransaction(Eventually.Soon);
            Assert.Contains($"\"code\":\"{sandbox.GetTransaction(id).Code}\"", asked, StringComparison.Ordinal);
            await browser.Shows("/sign-ins/1", "on your phone", "\"isApproved\":false");
            sandbox.Decide(id, SandboxDecision.Approve);
            await browser.Shows("/sign-ins/1", "welcome", "\"isApproved\":true");
        }

        [Fact]
        public static async Task AServerWithoutAFileTakesTheRequestsBack()
        {
            Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no kill");
            using var sandbox = new Sandbox(strict: true);
            using var program = new Example("Server", "sandbox-phone", "--url", sandbox.HyperIdUrl);
            using var browser = await program.Browser();
            for (int person = 0; person < 20; person++)
            {
                await browser.Post("/sign-ins");
            }
            Eventually.True(() => sandbox.PushCount == 20, "all are asked");
            program.Send("INT");
            string said = await program.Ends(0);
            Assert.Equal(20, Count(said, "your request was taken back"));
            Assert.Contains("0 go on.", said, StringComparison.Ordinal);
        }

        [Fact]
        public static async Task WhoMayHaveBeenAskedIsToldByTheServerThatAskedAndByTheNext()
        {
            Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no kill");
            using var sandbox = new Sandbox(strict: true);
            using (var program = new Example("Server", "sandbox-lose-start", "--url", sandbox.HyperIdUrl))
            {
                using var browser = await program.Browser();
                await browser.Post("/sign-ins");
                await program.Says("1: a request may have reached your phone");
            }
            using var notes = new Scratch();
            // The last run died in the middle of the second line: half an id is none.
            notes.Write($"{Notes}asking 7 {DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 100}\nstarted 7 42949");
            using (var program = Server("sandbox-approve", sandbox, notes))
            {
                await program.Says("7: a request may have reached your phone");
                using var browser = await program.Browser();
                program.Send("TERM");
                await program.Ends(0);
            }
            using (var program = Server("sandbox-approve", sandbox, notes))
            {
                using var browser = await program.Browser();
                program.Send("TERM");
                Assert.DoesNotContain("may have reached", await program.Ends(0), StringComparison.Ordinal);
            }
            Assert.Equal(1, sandbox.PushCount);
        }

        [Theory]
        [InlineData("a")]
        [InlineData("a\n")]
        [InlineData("people asked by libmfa's server example")]
        [InlineData(Notes + "started 0 1\n")]
        public static async Task TheServerLeavesOtherFilesAlone(string text)
        {
            using var sandbox = new Sandbox(strict: true);
            using var notes = new Scratch();
            notes.Write(text);
            using var program = Server("sandbox-approve", sandbox, notes);
            Assert.Contains("left alone", await program.Ends(2), StringComparison.Ordinal);
            Assert.Equal(text, File.ReadAllText(notes.Path));
        }

        private const string Notes = "people asked by libmfa's server example\n";

        private static Example Server(string token, Sandbox sandbox, Scratch notes) =>
            new Example("Server", token, "--url", sandbox.HyperIdUrl, "--save", notes.Path);

        private static int Count(string text, string part) => text.Split(part).Length - 1;

        private sealed class Scratch : IDisposable
        {
            internal string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "mfa-notes-" + Guid.NewGuid());

            internal void Write(string text) => File.WriteAllText(Path, text);

            public void Dispose() => File.Delete(Path);
        }

        private sealed class Page : IDisposable
        {
            private readonly HttpClient browser;

            internal Page(string url) => browser = new HttpClient { BaseAddress = new Uri(url) };

            internal async Task<string> Post(string path)
            {
                using var answer = await browser.PostAsync(new Uri(path, UriKind.Relative), null);
                Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
                return await answer.Content.ReadAsStringAsync();
            }

            internal async Task Shows(string path, params string[] texts)
            {
                var watch = Stopwatch.StartNew();
                string page;
                do
                {
                    await Task.Delay(10);
                    page = await browser.GetStringAsync(new Uri(path, UriKind.Relative));
                    Assert.True(watch.Elapsed < Eventually.Soon, page);
                }
                while (!texts.All(page.Contains));
            }

            public void Dispose() => browser.Dispose();
        }
#endif

        /// <summary>
        /// The program without its library, in a folder that has one. Neither today's .NET nor Mono looks there on Linux, with
        /// or without the assembly's search paths, so what is shown is each place that was looked at; and that the decoy would
        /// be noticed, where the system's own search path names the folder: an empty entry does.
        /// </summary>
        [Fact]
        public static async Task TheLibraryIsNotLookedForInTheWorkingDirectory()
        {
            string elsewhere = Path.GetTempPath().TrimEnd('/');
            var loader = new Dictionary<string, string> { ["LD_DEBUG"] = "libs,files", ["LD_LIBRARY_PATH"] = elsewhere };
            string said = await WithADecoyInTheWorkingDirectory(loader, out string here);
            Assert.Contains("could not be loaded", said, StringComparison.Ordinal);
            Assert.DoesNotContain("does not fit", said, StringComparison.Ordinal);
            var places = Regex.Matches(said, @"(?:trying file|file|library)=(\S*mfa\S*)").Cast<Match>()
                .Select(match => match.Groups[1].Value).Distinct().Where(place => !place.Contains("MfaClient")).ToList();
            Assert.Contains("libmfa.so", places); // the loader was asked for the bare name
            Assert.Contains(elsewhere + "/libmfa.so", places); // and each place that it tried is here
            Assert.All(places, place => Assert.False(
                place.StartsWith(here, StringComparison.Ordinal) || (place[0] != '/' && place.Contains("/")), place));

            loader["LD_LIBRARY_PATH"] = ":" + elsewhere;
            said = await WithADecoyInTheWorkingDirectory(loader, out _);
            Assert.Contains("does not fit", said, StringComparison.Ordinal);
        }

        private static Task<string> WithADecoyInTheWorkingDirectory(IReadOnlyDictionary<string, string> environment, out string here)
        {
            Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "what the loader tells is glibc's");
            string folder = Path.Combine(Path.GetTempPath(), "mfa-decoy-" + Guid.NewGuid());
            here = Directory.CreateDirectory(Path.Combine(folder, "here")).FullName;
            return WithADecoyIn(folder, here, environment);
        }

        private static async Task<string> WithADecoyIn(string folder, string here, IReadOnlyDictionary<string, string> environment)
        {
            string decoy = Path.Combine(AppContext.BaseDirectory, "misfit_abi.so");
            Assert.SkipUnless(File.Exists(decoy), "there is no decoy: it was built without a C compiler");
            try
            {
                foreach (string file in Directory.GetFiles(Path.GetDirectoryName(Example.Program("Confirm"))!))
                {
                    if (Path.GetFileName(file) != "libmfa.so")
                    {
                        File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
                    }
                }
                foreach (string name in new[] { "libmfa.so", "mfa.so", "mfa", "libmfa" })
                {
                    File.Copy(decoy, Path.Combine(here, name));
                }
                var program = new FileInfo(Path.Combine(folder, Path.GetFileName(Example.Program("Confirm"))));
                using var running = new Example(program, here, environment, "sandbox-approve", "--url", "http://127.0.0.1:1");
                return await running.EndsAnyhow();
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        private sealed class Example : IDisposable
        {
            private static readonly bool ResetsInterrupts = IsThereAnEnvThatResets();

            private readonly Process process;
            private readonly List<string> lines = new();

            internal Example(string name, string token, params string[] words)
                : this(new FileInfo(Program(name)), ".", new Dictionary<string, string>(), token, words)
            {
            }

            internal Example(
                FileInfo program, string workingDirectory, IReadOnlyDictionary<string, string> environment, string token, params string[] words)
            {
#if NET
                var start = new ProcessStartInfo(Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet");
#else
                var start = new ProcessStartInfo("mono");
#endif
                start.WorkingDirectory = workingDirectory;
                start.Arguments = $"\"{program}\" \"{string.Join("\" \"", words)}\"";
                if (ResetsInterrupts)
                {
                    // A shell's job in the background has SIGINT ignored, and would hand that on.
                    start.Arguments = $"--default-signal=INT \"{start.FileName}\" {start.Arguments}";
                    start.FileName = "env";
                }
                start.UseShellExecute = false;
                start.RedirectStandardOutput = start.RedirectStandardError = true;
                start.EnvironmentVariables["MFA_TOKEN"] = token;
                foreach (var variable in environment)
                {
                    start.EnvironmentVariables[variable.Key] = variable.Value;
                }
                process = new Process { StartInfo = start };
                process.OutputDataReceived += Said;
                process.ErrorDataReceived += Said;
                try
                {
                    process.Start();
                }
                catch (Win32Exception e)
                {
                    Assert.Skip($"there is no {start.FileName}: {e.Message}");
                }
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
            }

            /// <summary>GNU's does.</summary>
            private static bool IsThereAnEnvThatResets()
            {
                var start = new ProcessStartInfo("env", "--default-signal=INT true") { UseShellExecute = false, RedirectStandardError = true };
                try
                {
                    using var env = Process.Start(start)!;
                    env.StandardError.ReadToEnd();
                    env.WaitForExit();
                    return env.ExitCode == 0;
                }
                catch (Win32Exception)
                {
                    return false;
                }
            }

            internal static string Program(string name)
            {
                string folder = Project.Fact("ExamplePrograms").Replace("NAME", name);
#if NET
                return Path.Combine(folder.Replace("FRAMEWORK", "net8.0"), name + ".dll");
#else
                return Path.Combine(folder.Replace("FRAMEWORK", "net472"), name + ".exe");
#endif
            }

            internal void Send(string signal)
            {
                using var kill = Process.Start("kill", $"-{signal} {process.Id}")!;
                kill.WaitForExit();
            }

#if NET
            /// <summary>Once it listens.</summary>
            internal async Task<Page> Browser()
            {
                await Says("Listening on http");
                return new Page(Output.Split("Listening on ")[1].Split('\n')[0]);
            }
#endif

            internal async Task<string> EndsAnyhow()
            {
                await Within.Time(Eventually.Soon, Task.Run(process.WaitForExit));
                return Output;
            }

            internal Task Says(string text) => Task.Run(() => Eventually.True(() => Output.Contains(text), text));

            /// <summary>What it has said to its end.</summary>
            internal async Task<string> Ends(int status)
            {
                await Within.Time(Eventually.Soon, Task.Run(process.WaitForExit));
                Assert.True(status == process.ExitCode, $"exit status {process.ExitCode}: {Output}");
                return Output;
            }

            public void Dispose()
            {
                if (!process.HasExited)
                {
                    process.Kill();
                }
                process.Dispose();
            }

            internal string Output
            {
                get
                {
                    lock (lines)
                    {
                        return string.Join("\n", lines);
                    }
                }
            }

            private void Said(object _, DataReceivedEventArgs line)
            {
                lock (lines)
                {
                    lines.Add(line.Data ?? "");
                }
            }
        }
    }
}
