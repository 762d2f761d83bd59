using System;
using System.Globalization;

internal sealed class Settings
{
    internal string? Url { get; private set; }

    internal string Token { get; private set; } = Environment.GetEnvironmentVariable("MFA_TOKEN") ?? "";

    internal TimeSpan Timeout { get; private set; } = TimeSpan.FromSeconds(120);

    internal string? File { get; private set; }

    internal string Listen { get; private set; } = "http://127.0.0.1:0";

    internal string Question { get; private set; } = "Sign in?";

    /// <exception cref="ArgumentException">Something is unknown, misspelt or left out.</exception>
    internal static Settings From(string[] words)
    {
        var told = new Settings();
        bool isProduction = false;
        for (int i = 0; i < words.Length; i++)
        {
            bool hasValue = i + 1 < words.Length && !words[i + 1].StartsWith("--", StringComparison.Ordinal);
            switch (words[i])
            {
                case "--production":
                    isProduction = true;
                    break;
                case "--url" when hasValue:
                    told.Url = words[++i];
                    break;
                case "--token" when hasValue:
                    told.Token = words[++i];
                    break;
                case "--save" when hasValue:
                    told.File = words[++i];
                    break;
                case "--listen" when hasValue && Uri.IsWellFormedUriString(words[i + 1], UriKind.Absolute):
                    told.Listen = words[++i];
                    break;
                case "--timeout" when hasValue && Seconds(words[i + 1]) is { } timeout:
                    told.Timeout = timeout;
                    i++;
                    break;
                case { Length: > 0 } word when word[0] != '-' && i == words.Length - 1:
                    told.Question = word;
                    break;
                default:
                    throw new ArgumentException($"what is '{words[i]}' here?");
            }
        }
        if ((told.Url == null) != isProduction)
        {
            throw new ArgumentException("name the server with --url, or say --production");
        }
        return told.Token.Length > 0 ? told : throw new ArgumentException("there is no token");
    }

    private static TimeSpan? Seconds(string text)
    {
        bool isNumber = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds);
        return isNumber && seconds > 0 && seconds <= 86400 ? TimeSpan.FromSeconds(seconds) : null;
    }
}
