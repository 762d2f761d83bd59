using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
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
            using (var kill = Process.Start("kill", "-INT " + program.Id))
            {
                kill.WaitForExit();
            }
            string said = await program.Ends(1);
            Assert.Contains("not approved: interrupted", said, StringComparison.Ordinal);
            Assert.Contains("was withdrawn", said, StringComparison.Ordinal);
        }
#endif

        /// <summary>The program without its library, in a folder that has one which approves anything.</summary>
        [Fact]
        public static async Task TheLibraryIsNotLookedForInTheWorkingDirectory()
        {
            string decoy = Path.Combine(AppContext.BaseDirectory, "misfit_abi.so");
            Assert.SkipUnless(File.Exists(decoy), "there is no decoy: it was built without a C compiler");
            string folder = Path.Combine(Path.GetTempPath(), "mfa-decoy-" + Guid.NewGuid());
            string here = Directory.CreateDirectory(Path.Combine(folder, "here")).FullName;
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
                using var running = new Example(program, here, "sandbox-approve", "--url", "http://127.0.0.1:1");
                string said = await running.EndsAnyhow();
                Assert.Contains("could not be loaded", said, StringComparison.Ordinal);
                Assert.DoesNotContain("does not fit", said, StringComparison.Ordinal);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        private sealed class Example : IDisposable
        {
            private readonly Process process;
            private readonly List<string> lines = new();

            internal Example(string name, string token, params string[] words)
                : this(new FileInfo(Program(name)), ".", token, words)
            {
            }

            internal Example(FileInfo program, string workingDirectory, string token, params string[] words)
            {
#if NET
                var start = new ProcessStartInfo(Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet");
#else
                var start = new ProcessStartInfo("mono");
#endif
                start.WorkingDirectory = workingDirectory;
                start.Arguments = $"\"{program}\" \"{string.Join("\" \"", words)}\"";
                start.UseShellExecute = false;
                start.RedirectStandardOutput = start.RedirectStandardError = true;
                start.EnvironmentVariables["MFA_TOKEN"] = token;
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

            internal static string Program(string name)
            {
                string folder = Path.Combine(Project.Fact("Examples"), name, "bin", Project.Fact("Configuration"));
#if NET
                return Path.Combine(folder, "net8.0", name + ".dll");
#else
                return Path.Combine(folder, "net472", name + ".exe");
#endif
            }

            internal int Id => process.Id;

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

            private string Output
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
