using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("MfaClient.Testing")]
[assembly: InternalsVisibleTo("MfaClient.Tests")]
