//! What C's names are called in the bindings. The library marks them with backquotes in its texts, since `code` or
//! `question` alone cannot be told from words; a binding puts its own in their place.

use super::Result;
use super::abi::Abi;

/// One name: in C, in C#, in Python.
pub struct Name {
    pub c: &'static str,
    pub csharp: &'static str,
    pub python: &'static str,
}

const fn name(c: &'static str, csharp: &'static str, python: &'static str) -> Name {
    Name { c, csharp, python }
}

pub const NAMES: &[Name] = &[
    // Parameters.
    name("access_token", "accessToken", "access_token"),
    name("authorized_token", "authorizedToken", "authorized_token"),
    name("brand", "brand", "brand"),
    name("transaction_id", "transactionId", "transaction_id"),
    name("request", "request", "request"),
    name("cancel", "CancellationToken", "CancelToken"),
    name("out", "the exception's Transaction", "the exception's transaction"),
    // mfa_client_options.
    name("base_url", "BaseUrl", "base_url"),
    name("request_timeout_ms", "RequestTimeout", "request_timeout"),
    name("connect_timeout_ms", "ConnectTimeout", "connect_timeout"),
    name("ca_pem", "CaPem", "ca_pem"),
    name("proxy_url", "ProxyUrl", "proxy_url"),
    name("user_agent", "UserAgent", "user_agent"),
    name("log_level", "LogLevel", "log_level"),
    name("client_cert_pem", "ClientCertificatePem", "client_cert_pem"),
    name("client_key_pem", "ClientKeyPem", "client_key_pem"),
    name("headers", "Headers", "headers"),
    // mfa_request.
    name("question", "Question", "question"),
    name("values_json", "ValuesJson", "values_json"),
    name("template_id", "TemplateId", "template_id"),
    name("code", "ControlCode", "code"),
    name("device_id", "DeviceId", "device_id"),
    name("device_desc", "DeviceDescription", "device_desc"),
    name("ip", "Ip", "ip"),
    // mfa_wait_options.
    name("min_interval_ms", "MinInterval", "min_interval"),
    name("max_interval_ms", "MaxInterval", "max_interval"),
    // mfa_error.
    name("os_error", "OsError", "os_error"),
    name("http_status", "HttpStatus", "http_status"),
    name("provider_code", "ProviderCode", "provider_code"),
    name("retry_after_ms", "RetryAfter", "retry_after"),
    // Constants.
    name("MFA_ERROR_OUTCOME_UNKNOWN", "OutcomeUnknown", "outcome_unknown"),
    name("MFA_ERROR_WITHDRAWN", "Withdrawn", "withdrawn"),
    name("MFA_CLIENT_ALLOW_LOOPBACK_HTTP", "AllowLoopbackHttp", "allow_loopback_http"),
    name("MFA_REQUEST_ANY_CODE", "AllowAnyControlCode", "any_code"),
    name("NULL", "null", "None"),
];

/// The C# parameter that a property belongs to.
const OWNERS: &[(&str, &str)] =
    &[("mfa_client_options", "options"), ("mfa_request", "request"), ("mfa_wait_options", "wait")];

#[derive(Clone, Copy)]
pub enum Language {
    CSharp,
    Python,
}

/// A text of the code table as a binding says it.
pub fn in_binding(text: &str, language: Language) -> Result<String> {
    let mut said = String::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 0 {
            said.push_str(part);
            continue;
        }
        let name = NAMES.iter().find(|name| name.c == part);
        let name = name.ok_or_else(|| format!("the bindings have no name for `{part}` in: {text}"))?;
        said.push_str(match language {
            Language::CSharp => name.csharp,
            Language::Python => name.python,
        });
    }
    Ok(said)
}

/// The C# parameters of the properties: (property, parameter).
pub fn owners(abi: &Abi) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for (struct_name, parameter) in OWNERS {
        let fields = abi.structs.iter().filter(|s| s.name == *struct_name).flat_map(|s| &s.fields);
        for field in fields {
            found.extend(NAMES.iter().filter(|n| n.c == field.name).map(|n| (n.csharp, *parameter)));
        }
    }
    found
}

/// Every name of the table is the header's.
pub fn check(abi: &Abi) -> Result {
    for Name { c, .. } in NAMES {
        let is_field = abi.structs.iter().any(|s| s.fields.iter().any(|f| f.name == *c));
        let is_parameter = abi.functions.iter().any(|f| f.parameters.iter().any(|(_, name)| name == c));
        let is_constant = *c == "NULL" || abi.constants.iter().any(|(name, _)| name == c);
        if !(is_field || is_parameter || is_constant) {
            return Err(format!("the header has no `{c}`, which the bindings have a name for"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Language, in_binding};

    #[test]
    fn marked_names_are_the_languages_own() {
        let text = "set `MFA_CLIENT_ALLOW_LOOPBACK_HTTP` for the code, not `NULL`";
        let csharp = in_binding(text, Language::CSharp);
        assert_eq!(csharp.as_deref(), Ok("set AllowLoopbackHttp for the code, not null"));
        let python = in_binding(text, Language::Python);
        assert_eq!(python.as_deref(), Ok("set allow_loopback_http for the code, not None"));
        assert!(in_binding("`unknown`", Language::Python).is_err());
    }
}
