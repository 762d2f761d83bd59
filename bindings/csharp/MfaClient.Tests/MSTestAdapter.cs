using System.Collections.Generic;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace MfaClient.Tests
{
    /// <summary>The cases, for `dotnet test`.</summary>
    [TestClass]
    public sealed class MSTestAdapter
    {
        public static IEnumerable<object[]> Names => Runner.Names.Select(name => new object[] { name });

        [TestMethod]
        [DynamicData(nameof(Names))]
        public void Case(string name)
        {
            try
            {
                Runner.Run(name);
            }
            catch (SkippedException e)
            {
                Assert.Inconclusive(e.Message);
            }
        }
    }
}
