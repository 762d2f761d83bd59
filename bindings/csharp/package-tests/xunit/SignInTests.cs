using System;
using System.Threading.Tasks;
using MfaClient;
using MfaClient.Testing;
using Xunit;

public sealed class SignInTests
{
    private static readonly MfaWaitOptions Quick = new() { MinInterval = TimeSpan.FromMilliseconds(50) };

    [Theory]
    [InlineData("sandbox-approve", true)]
    [InlineData("sandbox-deny", false)]
    public async Task ThePersonDecides(string token, bool isApproved)
    {
        using var sandbox = new Sandbox();
        using var client = new HyperIdClient(sandbox.ClientOptions());
        var answer = await client.ConfirmAsync(
            token, new MfaRequest("Sign in?"), Quick, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(isApproved, answer.IsApproved);
    }

    [Fact]
    public void AnswersOfDoubles() => Assert.True(MfaTesting.Transaction(1, MfaDecision.Approved).IsApproved);
}
