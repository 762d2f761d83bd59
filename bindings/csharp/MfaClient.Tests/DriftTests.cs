using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading;
using System.Xml.Linq;
using Xunit;

namespace MfaClient.Tests
{
    /// <summary>
    /// Nothing of the C interface is forgotten here. Whatever libmfa fills in makes a difference to what a program
    /// sees, and whatever libmfa takes can be set by a program: each field of each struct, and each flag. Each function
    /// is used. What is left out on purpose is listed, with the reason.
    /// </summary>
    public static unsafe class DriftTests
    {
        private static readonly Dictionary<string, string> LeftOut = new Dictionary<string, string>
        {
            ["struct_size"] = "is set where a struct is made",
            ["reserved"] = "is 0",
            ["log_user_data"] = "a delegate brings its own",
            ["on_update_user_data"] = "a delegate brings its own",
            ["access_token_provider_user_data"] = "a delegate brings its own",
        };

        private static readonly Dictionary<string, string> NotUsed = new Dictionary<string, string>
        {
            ["mfa_waiter_cancel_all"] = "each call has a token of its own",
            ["mfa_waiter_count"] = "the tickets are counted here",
            ["mfa_waiter_fd"] = "a thread drives the waiter, not a loop",
        };

        /// <summary>Options of a client that its waiter takes.</summary>
        private static readonly string[] OfWaits = { nameof(MfaClientOptions.MaxConnections), nameof(MfaClientOptions.MaxRequestsPerSecond) };

        private static readonly Dictionary<Type, Action> Checks = new Dictionary<Type, Action>
        {
            [typeof(Native.mfa_error)] = () => Seen<Native.mfa_error>(
                native => MfaException.From((MfaErrorCode)native.code, Utf8.Read(native.message, 256), &native, null), ("flags", "MFA_ERROR_")),
            // Not what a call returned: IsApproved would hide that the decision is missing.
            [typeof(Native.mfa_transaction)] = () => Seen<Native.mfa_transaction>(native => MfaTransaction.SoFar(&native)),
            [typeof(Native.mfa_two_factor_types)] = () => Seen<Native.mfa_two_factor_types>(
                native => TwoFactorTypes.From(&native), ("methods", "MFA_METHOD_")),
            [typeof(Native.mfa_registration)] = () => Seen<Native.mfa_registration>(native => CapillaryRegistration.From(&native)),
            // IsAvailable returns it as a bool: there is room for no other.
            [typeof(Native.mfa_availability)] = () => Assert.Equal(
                "available", string.Join(", ", FieldsOf(typeof(Native.mfa_availability)))),
            [typeof(Native.mfa_request)] = () => Settable<MfaRequest, Native.mfa_request>(Given, "MFA_REQUEST_"),
            [typeof(Native.mfa_wait_options)] = () => Settable<MfaWaitOptions, Native.mfa_wait_options>(
                wait => Given(wait, null, null), "MFA_WAIT_", Given(new MfaWaitOptions(), new Nobody(), () => null), MfaWaitOptions.ToNative(null, true, true, out _)),
            [typeof(Native.mfa_client_options)] = () => Settable<MfaClientOptions, Native.mfa_client_options>(
                Given, "MFA_CLIENT_"),
            // What each of them does is seen in what a call comes to: WaitTests. `ticket` is known since the add.
            [typeof(Native.mfa_event)] = () => Assert.Equal(
                "kind, ticket, user_data, code", string.Join(", ", FieldsOf(typeof(Native.mfa_event)))),
            [typeof(Native.mfa_waiter_options)] = () =>
            {
                Assert.Equal(
                    "flags, max_connections, max_requests_per_second", string.Join(", ", FieldsOf(typeof(Native.mfa_waiter_options))));
                var given = new MfaClientOptions { MaxConnections = 1, MaxRequestsPerSecond = 2 }.ForWaits("options");
                Assert.Equal((0u, 1u, 2u), (given.flags, given.max_connections, given.max_requests_per_second));
            },
            [typeof(Native.mfa_call_options)] = () => Settable<object, Native.mfa_call_options>(
                _ => Bounds(null, default),
                null,
                Bounds(TimeSpan.FromSeconds(1), default),
                Bounds(null, new CancellationTokenSource().Token)),
        };

        [Fact]
        public static void EachFieldAndFlagOfEachStruct()
        {
            var wrong = new List<string>();
            foreach (var type in AbiTests.StructTypes())
            {
                try
                {
                    Assert.True(Checks.ContainsKey(type), type.Name + " is looked at");
                    Checks[type]();
                }
                catch (Xunit.Sdk.XunitException e)
                {
                    wrong.Add(e.Message);
                }
            }
            Assert.Empty(string.Join("; ", wrong));
        }

        [Fact]
        public static void EachEnumerator()
        {
            Same(typeof(MfaDecision), "MFA_DECISION_");
            Same(typeof(CapillaryRegistrationState), "MFA_REGISTRATION_");
            Same(typeof(MfaProvider), "MFA_PROVIDER_");
            Same(typeof(MfaLogLevel), "MFA_LOG_");
            Same(typeof(TwoFactorMethods), "MFA_METHOD_", nameof(TwoFactorMethods.None));
        }

        [Fact]
        public static void EachFunctionIsUsed()
        {
            string folder = Path.Combine(Path.GetDirectoryName(Here())!, "..", "MfaClient");
            if (!Directory.Exists(folder))
            {
                Assert.Skip("there are no sources of the binding beside the tests'");
            }
            var sources = Directory.GetFiles(folder, "*.cs").Where(file => !file.EndsWith(".g.cs", StringComparison.Ordinal));
            string text = string.Join("\n", sources.Select(File.ReadAllText));
            var imports = typeof(Native).GetMethods(AbiTests.All)
                .Where(method => method.GetCustomAttribute<DllImportAttribute>() != null).Select(method => method.Name).ToList();
            Assert.True(imports.Count > 10, "there are imports");
            Assert.Empty(string.Join(", ", imports.Where(name => !Regex.IsMatch(text, $@"\b{name}\b")).Except(NotUsed.Keys)));
            Assert.Empty(string.Join(", ", NotUsed.Keys.Where(name => Regex.IsMatch(text, $@"\b{name}\b"))));
        }

        /// <summary>A default that a doc comment names is the header's, which is the one place that says it.</summary>
        [Theory]
        [InlineData("request_timeout_ms", "P:MfaClient.MfaClientOptions.RequestTimeout", "Null: {0} seconds.")]
        [InlineData("connect_timeout_ms", "P:MfaClient.MfaClientOptions.ConnectTimeout", "Null: {0} seconds.")]
        [InlineData("max_idle_connections", "P:MfaClient.MfaClientOptions.MaxIdleConnections", "Null: {0}.")]
        [InlineData("max_connections", "P:MfaClient.MfaClientOptions.MaxConnections", "Null: {0}.")]
        [InlineData("min_interval_ms", "P:MfaClient.MfaWaitOptions.MinInterval", "Null: {0} second.")]
        [InlineData("max_interval_ms", "P:MfaClient.MfaWaitOptions.MaxInterval", "Null: {0} seconds, or the minimum if that is more.")]
        [InlineData("timeout_ms", "T:MfaClient.HyperIdClient", "to wait and to confirm, {0} seconds;")]
        [InlineData("life_ms", "M:MfaClient.Testing.Sandbox.#ctor(System.Boolean", "Null: {0} seconds.")]
        [InlineData("life_ms", "P:MfaClient.Testing.SandboxOptions.Life", "Null: {0} seconds.")]
        [InlineData("idle_timeout_ms", "P:MfaClient.Testing.SandboxOptions.IdleTimeout", "Null: {0} seconds.")]
        public static void EachDefaultInADocCommentIsTheHeaders(string field, string member, string says)
        {
            bool isSandbox = member.Contains("Sandbox");
            string header = File.ReadAllText(isSandbox
                ? Path.Combine(Project.Fact("SandboxHeader"), "mfa_sandbox.h")
                : Path.Combine(Project.Fact("Header"), "mfa.h"));
            var found = Regex.Match(header, $@"0: (?:(?!;\r?\n)[\s\S])*?\b{field};");
            // The nearest comment before the field, and the last number in it.
            string comment = header.Substring(0, found.Index + found.Length);
            comment = Regex.Replace(comment.Substring(comment.LastIndexOf(" 0: ", StringComparison.Ordinal)), @"\s*\n\s*(\*|//)\s*", " ");
            long number = Regex.Matches(comment, @"\d{1,3}(?:[ ,]\d{3})*").Cast<Match>()
                .Select(match => long.Parse(match.Value.Replace(" ", "").Replace(",", ""))).Max();
            string text = string.Format(says, field.EndsWith("_ms", StringComparison.Ordinal) ? number / 1000 : number);

            string assembly = (isSandbox ? typeof(Testing.Sandbox) : typeof(HyperIdClient)).Assembly.Location;
            var comments = XDocument.Load(Path.ChangeExtension(assembly, ".xml")).Descendants("member")
                .Single(element => element.Attribute("name")!.Value.StartsWith(member, StringComparison.Ordinal) &&
                    element.Attribute("name")!.Value.Substring(member.Length).TrimStart('(') is var rest && (rest.Length == 0 || isSandbox));
            Assert.Contains(text, Regex.Replace(comments.Value, @"\s+", " "), StringComparison.Ordinal);
        }

        private static string Here([CallerFilePath] string file = "") => file;

        // What libmfa fills in: what a program sees of it.

        /// <summary>With all fields at 1, each makes a difference when it is 0; so does each bit of a field of flags.</summary>
        private static void Seen<T>(Func<T, object> read, params (string Field, string Prefix)[] flags)
            where T : unmanaged
        {
            void Differs(string field, long number)
            {
                var (with, without) = (Ones<T>(), Ones<T>());
                Assert.Equal(Text(read(with)), Text(read(without)));
                Put(ref with, field, (int)number);
                Put(ref without, field, 0);
                Assert.True(Text(read(with)) != Text(read(without)), $"{typeof(T).Name}.{field}, {number}, is seen");
            }

            foreach (string field in FieldsOf(typeof(T)))
            {
                Differs(field, 1);
            }
            foreach (var (field, prefix) in flags)
            {
                foreach (long bit in Constants(prefix).Values)
                {
                    Differs(field, bit);
                }
            }
        }

        private static T Ones<T>()
            where T : unmanaged
        {
            T native = default;
            Put(ref native, "struct_size", sizeof(T));
            foreach (string field in FieldsOf(typeof(T)))
            {
                Put(ref native, field, 1);
            }
            return native;
        }

        /// <summary>Each field has 4 bytes at least; of an array it is the first element.</summary>
        private static void Put<T>(ref T native, string field, int number)
            where T : unmanaged
        {
            fixed (T* start = &native)
            {
                *(int*)((byte*)start + Offset<T>(field)) = number;
            }
        }

        private static string Text(object seen) => string.Join("; ", seen.GetType()
            .GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly)
            .Select(property => property.Name + " " + Text(property, seen))
            .Append((seen as Exception)?.Message));

        private static string? Text(PropertyInfo property, object seen) =>
            property.GetValue(seen) is IEnumerable<int> numbers
                ? string.Join(",", numbers)
                : property.GetValue(seen)?.ToString();

        // What libmfa takes: what a program can set.

        /// <summary>With one property after the other, each field differs from its default once; so does each flag.</summary>
        private static void Settable<TOptions, TNative>(
            Func<TOptions, TNative> given, string? prefix, params TNative[] others)
            where TOptions : new()
            where TNative : unmanaged
        {
            TNative plain = given(new TOptions());
            var (changed, bits) = (new HashSet<string>(), 0L);
            void Look(TNative native, string how)
            {
                var differing = FieldsOf(typeof(TNative)).Where(field => Get(native, field) != Get(plain, field)).ToList();
                Assert.True(differing.Count > 0, how + " changes something");
                changed.UnionWith(differing);
                bits |= prefix == null ? 0 : Get(native, "flags");
            }

            foreach (var property in typeof(TOptions).GetProperties().Where(property => !OfWaits.Contains(property.Name)))
            {
                var options = new TOptions();
                Set(options, property);
                Look(given(options), property.Name);
            }
            foreach (TNative native in others)
            {
                Look(native, typeof(TNative).Name);
            }
            Assert.Empty(string.Join(", ", FieldsOf(typeof(TNative)).Except(changed)));
            Assert.Equal(prefix == null ? 0 : Constants(prefix).Sum(flag => flag.Value), bits);
        }

        private static void Set(object options, PropertyInfo property)
        {
            if (property.GetValue(options) is IDictionary<string, string> headers)
            {
                headers.Add("a", "b");
                return;
            }
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            object value =
                type == typeof(string) ? "1" :
                type == typeof(bool) ? true :
                type == typeof(int) ? 1 :
                type == typeof(TimeSpan) ? TimeSpan.FromSeconds(1) :
                type == typeof(Func<string?>) ? new Func<string?>(() => null) :
                type == typeof(Action<MfaLogLevel, string>) ? new Action<MfaLogLevel, string>((_, _) => { }) :
                type.IsEnum ? Enum.ToObject(type, 1) :
                throw new InvalidOperationException("There is no value here for a " + type);
            property.SetValue(options, value);
        }

        private static long Get<T>(T native, string field)
            where T : unmanaged
        {
            int offset = Offset<T>(field);
            int end = FieldsOf(typeof(T), all: true).Select(Offset<T>).Where(next => next > offset).DefaultIfEmpty(sizeof(T)).Min();
            byte* start = (byte*)&native + offset;
            return end - offset < 8 ? *(int*)start : *(long*)start;
        }

        private static Native.mfa_request Given(MfaRequest request)
        {
            using var texts = new Texts();
            return request.Encode(texts, "request");
        }

        private static Native.mfa_wait_options Given(
            MfaWaitOptions wait, IProgress<MfaTransaction>? progress, Func<string?>? refreshAccessToken)
        {
            using var waiting = new Waiting(progress, refreshAccessToken, default);
            return waiting.ToNative(wait);
        }

        private static Native.mfa_client_options Given(MfaClientOptions options)
        {
            if (options.LogLevel != new MfaClientOptions().LogLevel)
            {
                options.Log = (_, _) => { }; // without one, no level is set
            }
            using var taking = new TakingHandle();
            Assert.Throws<MfaException>(() => MfaClientOptions.Open(options, taking));
            return taking.Given;
        }

        private static Native.mfa_call_options Bounds(TimeSpan? timeout, CancellationToken cancellationToken)
        {
            using var client = new TakingHandle();
            Native.mfa_call_options given = default;
            new Call<int>(
                client,
                timeout,
                cancellationToken,
                null,
                _ => (Native.mfa_call_options* options, Native.mfa_error* _, out int answer) =>
                {
                    given = *options;
                    answer = 0;
                    return Native.MFA_OK;
                }).Run();
            return given;
        }

        private sealed class TakingHandle : ClientHandle
        {
            internal Native.mfa_client_options Given { get; private set; }

            protected override int Create(Native.mfa_client_options* options, out IntPtr client, Native.mfa_error* error)
            {
                Given = *options;
                client = IntPtr.Zero;
                return Native.MFA_ERR_INTERNAL;
            }

            protected override void Free(IntPtr client)
            {
            }
        }

        private sealed class Nobody : IProgress<MfaTransaction>
        {
            public void Report(MfaTransaction soFar)
            {
            }
        }

        // Names.

        private static IEnumerable<string> FieldsOf(Type type) => FieldsOf(type, all: false);

        private static IEnumerable<string> FieldsOf(Type type, bool all) =>
            type.GetFields(AbiTests.All).Select(field => field.Name).Where(name => all || !LeftOut.ContainsKey(name));

        private static int Offset<T>(string field) => (int)Marshal.OffsetOf(typeof(T), field);

        /// <summary>Without their prefix.</summary>
        private static Dictionary<string, long> Constants(string prefix) => typeof(Native).GetFields(AbiTests.All)
            .Where(field => field.IsLiteral && field.Name.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(field => field.Name.Substring(prefix.Length), field => Convert.ToInt64(field.GetRawConstantValue()));

        /// <summary>NOT_ENABLED is NotEnabled.</summary>
        private static void Same(Type type, string prefix, params string[] ours)
        {
            string Line(string name, long value) => $"{name.Replace("_", "").ToUpperInvariant()} {value}";
            var header = Constants(prefix).Select(constant => Line(constant.Key, constant.Value));
            var here = Enum.GetNames(type).Except(ours).Select(name => Line(name, Convert.ToInt64(Enum.Parse(type, name))));
            Assert.Equal(
                string.Join(", ", header.OrderBy(line => line, StringComparer.Ordinal)),
                string.Join(", ", here.OrderBy(line => line, StringComparer.Ordinal)));
        }
    }
}
