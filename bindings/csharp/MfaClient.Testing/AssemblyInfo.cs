using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("MfaClient.Tests")]
