using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>What a program does wrong is told as .NET tells it, and at once.</summary>
    public static class UsageTests
    {
        private static readonly MfaRequest Question = new("Sign in?");
        private const string Person = "sandbox-phone";

        public static TheoryData<string, string, Type> Wrong()
        {
            var data = new TheoryData<string, string, Type>();
            foreach (var pair in Calls)
            {
                data.Add(pair.Key, pair.Value.Parameter, pair.Value.Type);
            }
            return data;
        }

        private static readonly Dictionary<string, (string Parameter, Type Type, Func<HyperIdClient, Task> Call)> Calls = new()
        {
            ["no token"] = ("accessToken", typeof(ArgumentNullException), c => c.IsAvailableAsync(null!)),
            ["an empty token"] = ("accessToken", typeof(ArgumentException), c => c.GetTwoFactorTypesAsync("")),
            ["a token with a blank"] = ("accessToken", typeof(ArgumentException), c => c.StartAsync("a b", Question)),
            ["a long token"] = ("accessToken", typeof(ArgumentException), c => c.IsAvailableAsync(new string('a', 16385))),
            ["no request"] = ("request", typeof(ArgumentNullException), c => c.ConfirmAsync(Person, null!)),
            ["no question"] = ("request", typeof(ArgumentException), c => c.ConfirmAsync(Person, new MfaRequest())),
            ["an empty device"] = ("request", typeof(ArgumentException), c => c.StartAsync(Person, new MfaRequest("?") { DeviceId = "" })),
            ["question and values"] = ("request", typeof(ArgumentException), c => c.StartAsync(Person, new MfaRequest("?") { ValuesJson = "{}" })),
            ["half a character"] = ("request", typeof(ArgumentException), c => c.StartAsync(Person, new MfaRequest("\uD83D"))),
            ["no id"] = ("transactionId", typeof(ArgumentOutOfRangeException), c => c.GetStatusAsync(Person, 0)),
            ["an id below zero"] = ("transactionId", typeof(ArgumentOutOfRangeException), c => c.WaitAsync(Person, -1)),
            ["no time"] = ("timeout", typeof(ArgumentOutOfRangeException), c => c.CancelAsync(Person, 1, TimeSpan.Zero)),
            ["for ever"] = ("timeout", typeof(ArgumentOutOfRangeException), c => c.CancelAsync(Person, 1, Timeout.InfiniteTimeSpan)),
            ["no interval"] = ("wait", typeof(ArgumentOutOfRangeException), c => c.WaitAsync(Person, 1, new MfaWaitOptions { MinInterval = TimeSpan.Zero })),
            ["intervals crosswise"] = ("wait", typeof(ArgumentOutOfRangeException), c => c.WaitAsync(Person, 1, new MfaWaitOptions
            {
                MinInterval = TimeSpan.FromSeconds(2),
                MaxInterval = TimeSpan.FromSeconds(1),
            })),
        };

        [Theory]
        [MemberData(nameof(Wrong))]
        public static void TheMethodItselfThrows(string what, string parameter, Type type)
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            // Not awaited: what the task held would be lost here.
            var thrown = Assert.Throws(type, () => { _ = Calls[what].Call(client); });
            Assert.Equal(parameter, ((ArgumentException)thrown).ParamName);
            Assert.Equal(0, sandbox.RequestCount());
        }

        [Fact]
        public static async Task WhatOnlyTheLibraryKnowsComesOutOfTheTaskAsTheSameException()
        {
            using var sandbox = new Sandbox(strict: true);
            using var client = new HyperIdClient(sandbox.ClientOptions());
            foreach (var (request, name) in new[]
            {
                (new MfaRequest("?") { ControlCode = "7" }, "ControlCode"), (new MfaRequest { TemplateId = 4, ValuesJson = "[]" }, "ValuesJson"),
            })
            {
                var asking = client.StartAsync(Person, request);
                var refusal = await Assert.ThrowsAsync<ArgumentException>(() => asking);
                Assert.Equal("request", refusal.ParamName);
                Assert.StartsWith(name, refusal.Message, StringComparison.Ordinal);
                Assert.Equal(MfaErrorCode.InvalidArgument, Assert.IsType<MfaException>(refusal.InnerException).Code);
            }
        }

        [Theory]
        [InlineData("Bearer abc")]
        [InlineData("bearer abc")]
        [InlineData("BEARER ")]
        public static void WhoPassesAWholeHeaderIsToldSo(string header)
        {
            using var client = new HyperIdClient(new MfaClientOptions { BaseUrl = "https://name.invalid" });
            string told = Assert.Throws<ArgumentException>(() => { _ = client.ConfirmAsync(header, Question); }).Message;
            Assert.Contains("accessToken begins with \"Bearer \": leave that out", told, StringComparison.Ordinal);
            Assert.DoesNotContain("abc", told, StringComparison.Ordinal);
        }

        [Fact]
        public static void OptionsThatAreNone()
        {
            foreach (var change in new Action<MfaClientOptions>[]
            {
                o => o.BaseUrl = "nonsense", o => o.BaseUrl = "http://name.invalid", o => o.CaPem = "none", o => o.MaxIdleConnections = 0,
                o => o.MaxConnections = 0, o => o.MaxRequestsPerSecond = 0, o => o.MaxRequestsPerSecond = -1, o => o.MaxIdleConnections = -1, o => o.Headers["X"] = null!, o => o.Headers["X:"] = "y", o => o.Headers["X"] = "a\nY: b",
                o => o.RequestTimeout = TimeSpan.Zero, o => o.LogLevel = (MfaLogLevel)77, o => o.UserAgent = "é", o => o.ProxyUrl = "?",
            })
            {
                var options = new MfaClientOptions();
                change(options);
                Assert.Equal("options", Assert.ThrowsAny<ArgumentException>(() => new HyperIdClient(options).Dispose()).ParamName);
            }
            Assert.Throws<ArgumentNullException>(() => new CapillaryClient(null!).Dispose());
            Assert.Equal("options", Assert.Throws<ArgumentException>(() => new CapillaryClient(new MfaClientOptions()).Dispose()).ParamName);
        }

        [Fact]
        public static void CapillarysParameters()
        {
            using var client = new CapillaryClient(new MfaClientOptions { BaseUrl = "https://name.invalid" });
            Assert.Equal("brand", Assert.Throws<ArgumentNullException>(() => { _ = client.GetMfaRegistrationAsync(null!, "d", "t"); }).ParamName);
            Assert.Equal("deviceId", Assert.Throws<ArgumentException>(() => { _ = client.GetMfaRegistrationAsync("b", "", "t"); }).ParamName);
            Assert.Equal("authorizedToken", Assert.Throws<ArgumentException>(() => { _ = client.GetMfaRegistrationAsync("b", "d", "a b"); }).ParamName);
            // What the library alone finds names the parameter too, not HyperID's property.
            string tooLong = new('d', 1025);
            Assert.Equal("deviceId", Assert.Throws<ArgumentException>(() => client.GetMfaRegistration("b", tooLong, "t")).ParamName);
        }

        [Fact]
        public static void NoTextSpeaksC()
        {
            var texts = Enum.GetValues(typeof(MfaErrorCode)).Cast<MfaErrorCode>()
                .Where(code => code != MfaErrorCode.None)
                .SelectMany(code => new[] { MfaLibrary.NameOf(code), MfaLibrary.MessageOf(code) }).ToList();
            var options = new MfaClientOptions { BaseUrl = "http://127.0.0.1:1" };
            string refusal = Assert.Throws<ArgumentException>(() => new HyperIdClient(options).Dispose()).Message;
            Assert.Contains("http to this machine needs AllowLoopbackHttp", refusal, StringComparison.Ordinal);
            texts.Add(refusal);
            Assert.Contains(texts, text => text.Contains("RetryAfter"));
            Assert.All(texts, text => Assert.DoesNotMatch("MFA_|NULL|`|[a-z]_[a-z]", text));
        }

        [Theory]
        [InlineData("the last poll that failed met MFA_ERR_TOKEN_EXPIRED: see `access_token`",
            "the last poll that failed met TokenExpired: see accessToken")]
        [InlineData("cut in the middle: MFA_ERR_TOKEN_", "cut in the middle: Token_")]
        public static void ACodeThatAMessageTellsHasItsName(string told, string expected) =>
            Assert.Equal(expected, Names.InCSharp(told, Native.MFA_PROVIDER_NONE));

        [Fact]
        public static void NumbersOfANewerLibraryHaveATextToo()
        {
            Assert.Equal("12345", MfaLibrary.NameOf((MfaErrorCode)12345));
            Assert.Contains("failure", MfaLibrary.MessageOf((MfaErrorCode)12345), StringComparison.Ordinal);
        }
    }
}
