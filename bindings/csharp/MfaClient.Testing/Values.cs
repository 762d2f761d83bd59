using System;
using System.Collections.Generic;
using System.Linq;

namespace MfaClient.Testing
{
    /// <summary>Values as the sandbox's C interface wants and gives them.</summary>
    internal static unsafe class Values
    {
        internal const int LongestReason = 512;

        /// <summary>Null is its 0, "the default".</summary>
        internal static long FirstId(long? id, string parameter) => id is null or > 0
            ? id ?? 0
            : throw new ArgumentOutOfRangeException(parameter, id, "A transaction's id is above zero.");

        /// <summary>A list as one text. What would arrive as another list is refused.</summary>
        internal static string? Joined(IEnumerable<string>? items, char separator, string name)
        {
            string[]? all = items?.ToArray();
            bool Splits(char character) => separator == ' ' ? char.IsWhiteSpace(character) : character is '\r' or '\n';
            if (all != null && all.Any(item => string.IsNullOrEmpty(item) || item.Any(Splits)))
            {
                throw new ArgumentException(
                    name + (separator == ' ' ? ": one is empty, or has a blank in it." : ": one is empty, or has a line break in it."), name);
            }
            return all == null ? null : string.Join(separator.ToString(), all);
        }

        /// <summary>What a function writes, and returns the length of, without a NUL; null: there is none.</summary>
        internal static byte[]? Whole(Func<byte[], int> write, int room = 2048)
        {
            byte[] text = new byte[room];
            int length;
            while ((length = write(text)) >= text.Length)
            {
                // A longer one may come meanwhile.
                text = new byte[length + 1];
            }
            if (length < 0)
            {
                return null;
            }
            Array.Resize(ref text, length);
            return text;
        }

        internal static string Read(byte[] text)
        {
            fixed (byte* start = text)
            {
                return Utf8.Read(start, text.Length);
            }
        }
    }
}
