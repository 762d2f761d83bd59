using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
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
            var program = new StringBuilder("#include <stdio.h>\n#include <stddef.h>\n#include <mfa.h>\nint main(void) {\n");
            foreach (var type in StructTypes())
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
            string[] inC = RunC(program.Append("return 0; }\n").ToString());
            Assert.Empty(inC.Except(here));
            Assert.Equal(here.Count, inC.Length);
        }

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

        internal static IEnumerable<Type> StructTypes() =>
            typeof(Native).GetNestedTypes(All).Where(type => type.IsValueType && type.Name.StartsWith("mfa_", StringComparison.Ordinal));

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
                    Run("cc", $"\"-I{Project.Fact("Header")}\" -o \"{program}\" \"{program}.c\"");
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
