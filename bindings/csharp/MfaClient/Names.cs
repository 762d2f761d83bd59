using System;
using System.Text;
using System.Text.RegularExpressions;

namespace MfaClient
{
    /// <summary>
    /// Puts C#'s names in the place of C's: the library marks them with backquotes in its messages, since "code" or
    /// "question" alone cannot be told from words. The table is generated: see Names.g.cs.
    /// </summary>
    internal static partial class Names
    {
        /// <summary>A failure that a message tells of has the name of its code before it, unmarked.</summary>
        private static readonly Regex Code = new Regex(@"\bMFA_ERR_[A-Z0-9_]*[A-Z0-9]", RegexOptions.CultureInvariant);

        /// <summary>The library's message as a C# programmer reads it.</summary>
        internal static string InCSharp(string message, int provider)
        {
            string[] parts = message.Split('`');
            var text = new StringBuilder(parts[0]);
            for (int i = 1; i < parts.Length; i++)
            {
                // The parts at odd places stand between two marks; a cut message may lack the last one.
                text.Append(i % 2 == 1 ? Of(parts[i], provider) : parts[i]);
            }
            return Code.Replace(text.ToString(), name => Camel(name.Value));
        }

        /// <summary>The parameter that holds the first name of a message; null: it names none.</summary>
        internal static string? Parameter(string message, int provider)
        {
            string[] parts = message.Split('`');
            string? name = parts.Length < 3 ? null : Of(parts[1], provider);
            return name == null ? null : OwnerOf(name) ?? name;
        }

        /// <summary>MFA_ERR_TOKEN_EXPIRED as TokenExpired.</summary>
        internal static string Camel(string inC)
        {
            var name = new StringBuilder();
            foreach (string word in inC.Replace("MFA_ERR_", "").Split('_'))
            {
                name.Append(word.Substring(0, 1)).Append(word.Substring(1).ToLowerInvariant());
            }
            return name.ToString();
        }

        private static string Of(string inC, int provider) =>
            // The one name that is a property here and a parameter there.
            inC == "device_id" && provider == Native.MFA_PROVIDER_CAPILLARY ? "deviceId" : InCSharp(inC) ?? inC;
    }
}
