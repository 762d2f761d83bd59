using System;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using MfaClient.Testing;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>A user's program is tested without the library, and cannot make an approval by itself.</summary>
    public static class DoubleTests
    {
        private sealed class Approving : HyperIdClient
        {
            public override Task<MfaTransaction> ConfirmAsync(
                string accessToken,
                MfaRequest request,
                MfaWaitOptions? wait = null,
                IProgress<MfaTransaction>? progress = null,
                Func<CancellationToken, Task<string?>>? refreshAccessToken = null,
                TimeSpan? timeout = null,
                CancellationToken cancellationToken = default) =>
                Task.FromResult(MfaTesting.Transaction(7, MfaDecision.Approved));
        }

        private sealed class Bare : CapillaryClient
        {
        }

        [Fact]
        public static async Task ADoubleAnswers()
        {
            using HyperIdClient client = new Approving();
            var answer = await client.ConfirmAsync("any", new MfaRequest("?"));
            Assert.True(answer.IsApproved);
            Assert.Equal(7, answer.Id);
        }

        [Fact]
        public static void WhatADoubleDoesNotOverrideThrows()
        {
            using HyperIdClient client = new Approving();
            Assert.Throws<InvalidOperationException>(() => client.IsAvailable("any"));
            Assert.Throws<InvalidOperationException>(() => { _ = client.StartAsync("any", new MfaRequest("?")); });
            using CapillaryClient bare = new Bare();
            Assert.Throws<InvalidOperationException>(() => bare.GetMfaRegistration("b", "d", "t"));
        }

        [Fact]
        public static void EveryPublicMemberOfAClientCanBeOverridden()
        {
            foreach (var client in new[] { typeof(HyperIdClient), typeof(CapillaryClient) })
            {
                var own = client.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly);
                Assert.All(own, method => Assert.True(method.IsVirtual && !method.IsFinal, method.Name));
            }
        }

        [Theory]
        [InlineData(MfaDecision.Approved, true)]
        [InlineData(MfaDecision.Denied, false)]
        [InlineData(MfaDecision.Pending, false)]
        [InlineData((MfaDecision)99, false)]
        public static void OnlyApprovedIsApproved(MfaDecision decision, bool isApproved)
        {
            Assert.Equal(isApproved, MfaTesting.Transaction(1, decision).IsApproved);
            Assert.False(MfaTesting.SoFar(1, decision).IsApproved);
        }

        [Fact]
        public static void NoProgramMakesAnApprovalWithoutThePackageForTesting()
        {
            Assert.Empty(typeof(MfaTransaction).GetConstructors());
            Assert.DoesNotContain(typeof(MfaTransaction).GetProperties(), property => property.CanWrite);
        }

        [Fact]
        public static void NoErrorStandsBesideAnApproval()
        {
            var approved = MfaTesting.Transaction(1, MfaDecision.Approved);
            Assert.Throws<ArgumentException>(() => new MfaException(MfaErrorCode.Timeout, "late", approved));
            var failure = new MfaException(MfaErrorCode.Timeout, "late", MfaTesting.SoFar(1, MfaDecision.Pending), outcomeUnknown: true);
            Assert.True(failure.OutcomeUnknown);
            Assert.Contains("Timeout: The call's own deadline passed.", failure.ToString(), StringComparison.Ordinal);
        }

        [Fact]
        public static void TheOtherAnswers()
        {
            var types = MfaTesting.TwoFactorTypes(TwoFactorMethods.App | TwoFactorMethods.Other, 0, 77);
            Assert.Equal(2, types.Count);
            Assert.Equal(new[] { 0, 77 }, types.Raw);
            Assert.Equal(CapillaryRegistrationState.Registered, MfaTesting.Registration(CapillaryRegistrationState.Registered).State);
        }

        [Fact]
        public static void TheAssembliesHaveStrongNames() => Assert.All(
            new[] { typeof(HyperIdClient), typeof(Sandbox) },
            type => Assert.Equal(8, type.Assembly.GetName().GetPublicKeyToken()!.Length));
    }
}
