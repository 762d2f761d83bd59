using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace MfaClient.Tests
{
    public static class AbiTests
    {
        internal const BindingFlags All =
            BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        [Case]
        public static void Sizes()
        {
            foreach (var (name, header, here) in Native.Structs)
            {
                Expect.Equal(header, here, name);
                Expect.True((int)Native.mfa_struct_size(Utf8.Encode(name, "name")!) >= here, name + " in the library");
            }
            Expect.Equal(Native.Structs.Length, StructTypes().Count(), "structs");
        }

        /// <summary>Against what a C compiler says: lines of "STRUCT FIELD OFFSET", and "STRUCT - SIZE".</summary>
        [Case]
        public static void Offsets()
        {
            string[] layout = File.ReadAllLines(Needed("MFA_TEST_LAYOUT", "a C compiler's word on the layout"));
            var here = new HashSet<string>();
            foreach (var type in StructTypes())
            {
                here.Add($"{type.Name} - {Marshal.SizeOf(type)}");
                here.UnionWith(type.GetFields(All).Select(
                    field => $"{type.Name} {field.Name} {Marshal.OffsetOf(type, field.Name)}"));
            }
            Expect.Equal("", string.Join(", ", layout.Where(line => !here.Contains(line))), "C has, and C# has not");
            Expect.Equal(here.Count, layout.Length, "fields");
        }

        [Case]
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
                        Expect.Equal(CallingConvention.Cdecl, import.CallingConvention, method.Name);
                        Expect.True(!import.SetLastError, method.Name);
                    }
                }
                Expect.True(imports > 10, "there are imports");
                foreach (var type in assembly.GetTypes().Where(t => typeof(Delegate).IsAssignableFrom(t) && t.IsNestedPrivate))
                {
                    Expect.Equal(
                        CallingConvention.Cdecl,
                        type.GetCustomAttribute<UnmanagedFunctionPointerAttribute>()?.CallingConvention,
                        type.Name);
                }
            }
        }

        [Case]
        public static void WhatIsPublicNeedsNoUnsafeCode()
        {
            foreach (var method in typeof(HyperIdClient).Assembly.GetExportedTypes().SelectMany(type => type.GetMethods()))
            {
                Expect.True(
                    !method.ReturnType.IsPointer && method.GetParameters().All(parameter => !parameter.ParameterType.IsPointer),
                    method.Name);
            }
        }

        [Case]
        public static void AnotherAbiVersionIsRefused()
        {
            Exception refusal = OpenWith(Needed("MFA_TEST_MISFIT_ABI", "a library of another ABI version"));
            Expect.Equal(
                "The native library \"mfa\" does not fit the C# binding 0.1.0: its ABI version is 77, and 1 is needed. " +
                "It is libmfa 9.8.7.",
                refusal.Message);
        }

        [Case]
        public static void SmallerStructsAreRefused()
        {
            Exception refusal = OpenWith(Needed("MFA_TEST_MISFIT_SIZE", "a library with smaller structs"));
            Expect.Equal(
                "The native library \"mfa\" does not fit the C# binding 0.1.0: its mfa_error has 12 bytes, and 296 are " +
                "needed. It is libmfa 9.8.7, which is too old.",
                refusal.Message);
        }

        [Case]
        public static void AnotherLibraryIsRefused()
        {
            Exception refusal = OpenWith(Needed("MFA_TEST_SANDBOX_LIBRARY", "another library"));
            Expect.True(refusal.Message.Contains("it is not libmfa, or too old"), refusal.Message);
        }

        [Case]
        public static void TheLibrarysNameCanBeSwitched()
        {
            var world = new World("");
            var native = world.LoadFromAssemblyPath(Needed("MFA_TEST_INTERNAL", "the binding for iOS")).GetType(typeof(Native).FullName!)!;
            foreach (var method in native.GetMethods(All | BindingFlags.DeclaredOnly))
            {
                Expect.Equal("__Internal", method.GetCustomAttribute<DllImportAttribute>()?.Value ?? "__Internal", method.Name);
            }
        }

        [Case]
        public static void TextsFromNativeCode()
        {
            Expect.Equal("Zoë — 日本語 \U0001F511", Read("Zoë — 日本語 \U0001F511\0rest"));
            Expect.Equal("no end", Read("no end"));
            Expect.Equal("", Read("\0"));
        }

        private static unsafe string Read(string text)
        {
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
            fixed (byte* start = bytes)
            {
                return Utf8.Read(start, bytes.Length);
            }
        }

        internal static IEnumerable<Type> StructTypes() =>
            typeof(Native).GetNestedTypes(All).Where(type => type.IsValueType && type.Name.StartsWith("mfa_", StringComparison.Ordinal));

        private static string Needed(string variable, string what) =>
            Environment.GetEnvironmentVariable(variable) is { Length: > 0 } told
                ? told
                : throw new SkippedException($"{variable} does not name {what}");

        /// <summary>The binding once more, in a world where another library is "mfa".</summary>
        private static Exception OpenWith(string library)
        {
            var world = new World(library);
            var client = world.LoadFromAssemblyPath(typeof(HyperIdClient).Assembly.Location).GetType(typeof(HyperIdClient).FullName!)!;
            var failure = Expect.Throws<TargetInvocationException>(() => Activator.CreateInstance(client, new object?[] { null }));
            Expect.True(failure.InnerException is DllNotFoundException, failure.InnerException!.GetType().Name);
            // A second try is told the same, not that a type could not be initialised.
            Expect.Throws<TargetInvocationException>(() => Activator.CreateInstance(client, new object?[] { null }));
            return failure.InnerException!;
        }

        private sealed class World : AssemblyLoadContext
        {
            private readonly string library;

            internal World(string library) : base("misfit")
            {
                this.library = library;
            }

            protected override IntPtr LoadUnmanagedDll(string unmanagedDllName) => NativeLibrary.Load(library);
        }
    }
}
