using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace MfaClient.Tests
{
    public static class AbiTests
    {
        internal const BindingFlags All =
            BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        [Fact]
        public static void Sizes()
        {
            foreach (var (name, header, here) in Native.Structs)
            {
                Assert.Equal(header, here);
                Assert.True((int)Native.mfa_struct_size(Utf8.Encode(name, "name")!) >= here, name + " in the library");
            }
            Assert.Equal(Native.Structs.Length, StructTypes().Count());
        }

        /// <summary>Against what a C compiler says: lines of "STRUCT FIELD OFFSET", and "STRUCT - SIZE".</summary>
        [Fact]
        public static void Offsets()
        {
            var here = new HashSet<string>();
            var program = new StringBuilder(
                "#include <stdio.h>\n#include <stddef.h>\n#include <mfa.h>\n#include <mfa_sandbox.h>\nint main(void) {\n");
            foreach (var type in StructTypes().Concat(StructTypes(typeof(Testing.SandboxNative))))
            {
                here.Add($"{type.Name} - {Marshal.SizeOf(type)}");
                program.Append($"printf(\"{type.Name} - %zu\\n\", sizeof({type.Name}));\n");
                foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic))
                {
                    here.Add($"{type.Name} {field.Name} {Marshal.OffsetOf(type, field.Name)}");
                    program.Append(
                        $"printf(\"{type.Name} {field.Name} %zu\\n\", offsetof({type.Name}, {field.Name}));\n");
                }
            }
            foreach (var (name, value) in SandboxConstants())
            {
                here.Add($"{name} {value}");
                program.Append($"printf(\"{name} %lld\\n\", (long long){name});\n");
            }
            string[] inC = RunC(program.Append("return 0; }\n").ToString());
            Assert.Empty(inC.Except(here));
            Assert.Equal(here.Count, inC.Length);
        }

        /// <summary>Written by hand, so it is compared: each function of the header is here, and takes and returns the same.</summary>
        [Fact]
        public static void TheSandboxsImportsAreItsHeaders()
        {
            var leftOut = new[] { "mfa_sandbox_new", "mfa_sandbox_version", "mfa_sandbox_struct_size" };
            string header = File.ReadAllText(Path.Combine(Project.Fact("SandboxHeader"), "mfa_sandbox.h"));
            var inC = Regex.Matches(header, @"^([a-z][\w ]*?[ *]+)(mfa_sandbox_\w+)\(([^;]*?)\);", RegexOptions.Multiline).Cast<Match>()
                .Where(function => !leftOut.Contains(function.Groups[2].Value))
                .Select(function => function.Groups[2].Value + ": " + string.Join(", ", function.Groups[3].Value.Split(',')
                    .Where(parameter => parameter != "void")
                    .Select(parameter => InCSharp(Regex.Replace(parameter, @"\w+\s*$", ""), function.Groups[2].Value))
                    .Prepend(InCSharp(function.Groups[1].Value, ""))));
            var here = typeof(Testing.SandboxNative).GetMethods(All | BindingFlags.DeclaredOnly)
                .Where(method => method.GetCustomAttribute<DllImportAttribute>() != null)
                .Select(method => method.Name + ": " + string.Join(", ", method.GetParameters()
                    .Select(parameter => parameter.ParameterType.Name).Prepend(method.ReturnType.Name)));
            Assert.Equal(
                string.Join("\n", inC.OrderBy(line => line, StringComparer.Ordinal)),
                string.Join("\n", here.OrderBy(line => line, StringComparer.Ordinal)));
        }

        /// <summary>How a type of the sandbox's header is written here.</summary>
        private static string InCSharp(string type, string function)
        {
            string words = Regex.Replace(type.Replace("const ", "").Replace("struct ", ""), @"\s+", "");
            return words switch
            {
                "void" => "Void",
                "int32_t" => "Int32",
                "uint32_t" => "UInt32",
                "int64_t" => "Int64",
                "uint64_t" => "UInt64",
                "int64_t*" => "Int64[]",
                "char*" => function.Length == 0 ? "IntPtr" : "Byte[]",
                "mfa_sandbox*" => function is "" or "mfa_sandbox_free" ? "IntPtr" : "SandboxHandle",
                _ => words,
            };
        }

        /// <summary>The enumeration's too.</summary>
        private static IEnumerable<(string Name, long Value)> SandboxConstants() => typeof(Testing.SandboxNative).GetFields(All)
            .Where(field => field.IsLiteral && field.Name.StartsWith("MFA_", StringComparison.Ordinal))
            .Select(field => (field.Name, Convert.ToInt64(field.GetRawConstantValue())))
            .Concat(Enum.GetValues(typeof(Testing.SandboxDecision)).Cast<Testing.SandboxDecision>()
                .Select(decision => ("MFA_SANDBOX_" + decision.ToString().ToUpperInvariant(), (long)decision)));

        [Fact]
        public static void EveryImportAndDelegateIsCdecl()
        {
            foreach (var assembly in new[] { typeof(HyperIdClient).Assembly, typeof(Testing.Sandbox).Assembly })
            {
                int imports = 0;
                foreach (var method in assembly.GetTypes().SelectMany(type => type.GetMethods(All | BindingFlags.DeclaredOnly)))
                {
                    if (method.GetCustomAttribute<DllImportAttribute>() is { } import)
                    {
                        imports++;
                        Assert.Equal(CallingConvention.Cdecl, import.CallingConvention);
                        Assert.False(import.SetLastError, method.Name);
                    }
                }
                Assert.True(imports > 10, "there are imports");
                foreach (var type in assembly.GetTypes().Where(t => typeof(Delegate).IsAssignableFrom(t) && t.IsNestedPrivate))
                {
                    Assert.Equal(
                        CallingConvention.Cdecl,
                        type.GetCustomAttribute<UnmanagedFunctionPointerAttribute>()?.CallingConvention);
                }
            }
        }

        [Fact]
        public static void WhatIsPublicNeedsNoUnsafeCode()
        {
            foreach (var method in typeof(HyperIdClient).Assembly.GetExportedTypes().SelectMany(type => type.GetMethods()))
            {
                Assert.True(
                    !method.ReturnType.IsPointer && method.GetParameters().All(parameter => !parameter.ParameterType.IsPointer),
                    method.Name);
            }
        }

        [Fact]
        public static void TextsFromNativeCode()
        {
            Assert.Equal("Zoë — 日本語 \U0001F511", Read("Zoë — 日本語 \U0001F511\0rest"));
            Assert.Equal("no end", Read("no end"));
            Assert.Equal("", Read("\0"));
        }

        private static unsafe string Read(string text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            fixed (byte* start = bytes)
            {
                return Utf8.Read(start, bytes.Length);
            }
        }

        internal static IEnumerable<Type> StructTypes(Type? of = null) =>
            (of ?? typeof(Native)).GetNestedTypes(All).Where(type => type.IsValueType && type.Name.StartsWith("mfa_", StringComparison.Ordinal));

        private static string[] RunC(string source)
        {
            string folder = Path.Combine(Path.GetTempPath(), "mfa-layout-" + Guid.NewGuid());
            Directory.CreateDirectory(folder);
            try
            {
                string program = Path.Combine(folder, "layout");
                File.WriteAllText(program + ".c", source);
                try
                {
                    Run("cc", $"\"-I{Project.Fact("Header")}\" \"-I{Project.Fact("SandboxHeader")}\" -o \"{program}\" \"{program}.c\"");
                }
                catch (Win32Exception)
                {
                    Assert.Skip("there is no C compiler");
                }
                return Run(program, "").Split(new[] { '\n' }, StringSplitOptions.RemoveEmptyEntries);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        private static string Run(string program, string words)
        {
            var start = new ProcessStartInfo(program, words) { UseShellExecute = false, RedirectStandardOutput = true };
            using var running = Process.Start(start)!;
            string output = running.StandardOutput.ReadToEnd();
            running.WaitForExit();
            Assert.Equal(0, running.ExitCode);
            return output;
        }
    }
}
