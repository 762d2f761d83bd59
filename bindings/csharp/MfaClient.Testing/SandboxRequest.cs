using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace MfaClient.Testing
{
    /// <summary>A provider request as it arrived.</summary>
    public sealed class SandboxRequest
    {
        private static readonly string[] LineBreak = { "\r\n" };
        private static readonly byte[] Empty = Encoding.ASCII.GetBytes("\r\n\r\n");

        /// <summary>Request line, headers, an empty line, the body.</summary>
        internal SandboxRequest(byte[] request)
        {
            // There always is an empty line: the sandbox writes it.
            int end = 0;
            while (!Empty.SequenceEqual(new ArraySegment<byte>(request, end, Empty.Length)))
            {
                end++;
            }
            string[] lines = Encoding.UTF8.GetString(request, 0, end).Split(LineBreak, StringSplitOptions.None);
            string[] first = lines[0].Split(' ');
            Method = first[0];
            Target = first[1];
            Headers = lines.Skip(1).Select(Header).ToList();
            Body = new ArraySegment<byte>(request, end + Empty.Length, request.Length - end - Empty.Length).ToArray();
        }

        /// <summary>As in "POST".</summary>
        public string Method { get; }

        /// <summary>The path, and a query if there was one.</summary>
        public string Target { get; }

        /// <summary>Names and values as sent, in their order; the token is among them.</summary>
        public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

        /// <summary>The body's bytes. Chunks are already put together.</summary>
        public byte[] Body { get; }

        /// <summary>The body as text.</summary>
        public string Text => Encoding.UTF8.GetString(Body);

        /// <summary>The first value of a header, its name in any case; null: it was not sent.</summary>
        public string? GetHeader(string name) => Headers
            .Where(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            .Select(header => header.Value).FirstOrDefault();

        internal bool IsOn(string? path) => path == null || Target.Split('?')[0] == path;

        private static KeyValuePair<string, string> Header(string line)
        {
            int colon = line.IndexOf(": ", StringComparison.Ordinal);
            return new KeyValuePair<string, string>(line.Substring(0, colon), line.Substring(colon + 2));
        }
    }
}
