using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

/// <summary>
/// Who is being asked, in a file: a line for each step, so that also a crash loses nothing. A server has a database for
/// this, which also survives a power cut. No token is noted: after a restart the person's session has one.
/// </summary>
internal sealed class Notes : IDisposable
{
    private const string FirstLine = "people asked by libmfa's server example";
    private readonly StreamWriter lines;

    private Notes(StreamWriter lines, IReadOnlyList<Asked> left)
    {
        this.lines = lines;
        Left = left;
    }

    /// <summary>Whom the last run has left.</summary>
    internal IReadOnlyList<Asked> Left { get; }

    /// <exception cref="InvalidDataException">The file is none of this program's.</exception>
    internal static Notes Open(string file)
    {
        var stream = new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            string text = new StreamReader(stream).ReadToEnd();
            // The last run may have died in the middle of a line: half an id must not be taken for another.
            string whole = text[..(text.LastIndexOf('\n') + 1)];
            var asked = Read(whole.Split('\n', StringSplitOptions.RemoveEmptyEntries));
            if (asked == null || (whole.Length == 0 && text.Length > 0))
            {
                throw new InvalidDataException($"{file} is not a file of this program's; it was left alone.");
            }
            stream.SetLength(asked.Count > 0 ? System.Text.Encoding.UTF8.GetByteCount(whole) : 0);
            stream.Seek(0, SeekOrigin.End);
            var notes = new Notes(new StreamWriter(stream) { NewLine = "\n", AutoFlush = true }, asked);
            if (stream.Length == 0)
            {
                notes.lines.WriteLine(FirstLine);
            }
            return notes;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Before the request is sent: who dies now knows afterwards that the person may have been asked.</summary>
    internal void Asking(int person, DateTimeOffset until) => Write("asking", person, until.ToUnixTimeSeconds());

    /// <summary>As soon as the id is known: from here on another run can go on with it.</summary>
    internal void Started(int person, long id) => Write("started", person, id);

    /// <summary>Nothing more is to be done.</summary>
    internal void Ended(int person) => Write("ended", person, 0);

    public void Dispose() => lines.Dispose();

    private void Write(string step, int person, long number)
    {
        lock (lines)
        {
            lines.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{step} {person} {number}"));
        }
    }

    /// <summary>Null: they are none of this program's.</summary>
    private static List<Asked>? Read(string[] lines)
    {
        var asked = new Dictionary<int, Asked>();
        if (lines.Length > 0 && lines[0] != FirstLine)
        {
            return null;
        }
        foreach (string[] words in lines.Skip(1).Select(line => line.Split(' ')))
        {
            if (words.Length != 3 || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int person) ||
                !long.TryParse(words[2], NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                return null;
            }
            switch (words[0])
            {
                case "asking":
                    asked[person] = new Asked(person, DateTimeOffset.FromUnixTimeSeconds(number), 0);
                    break;
                case "started" when asked.TryGetValue(person, out var known):
                    asked[person] = known with { Id = number };
                    break;
                case "ended":
                    asked.Remove(person);
                    break;
                default:
                    return null;
            }
        }
        return asked.Values.ToList();
    }

    /// <summary>Somebody who is asked until a time by the clock on the wall; the id is 0 while it is not known.</summary>
    internal sealed record Asked(int Person, DateTimeOffset Until, long Id);
}
