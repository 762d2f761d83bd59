// As much of MSTest as MSTestAdapter.cs names, so that it can be compiled where NuGet is out of reach.
using System;

namespace Microsoft.VisualStudio.TestTools.UnitTesting
{
    [AttributeUsage(AttributeTargets.Class)]
    public sealed class TestClassAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class TestMethodAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class DynamicDataAttribute : Attribute
    {
        public DynamicDataAttribute(string name)
        {
            Name = name;
        }

        public string Name { get; }
    }

    public static class Assert
    {
        public static void Inconclusive(string why) => throw new InvalidOperationException(why);
    }
}
