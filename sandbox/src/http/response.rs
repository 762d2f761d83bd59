//! What an answer is made of.

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type", kind.to_owned())];
        Response { status, headers, body: body.into() }
    }

    pub(crate) fn json(status: u16, body: impl ToString) -> Response {
        Response::new(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, text: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Response {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Says to the person at the keyboard why something was refused. No client reads it.
    pub(crate) fn with_reason(self, why: &str) -> Response {
        let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
        self.with("X-Sandbox-Why", why.chars().map(printable).collect::<String>())
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// These have no body whatever their headers say.
    pub(crate) fn bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    /// The status line and the headers, without the empty line.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.into_bytes()
    }

    /// The whole answer, measured.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if self.bodiless() {
            bytes.extend_from_slice(b"\r\n");
            return bytes;
        }
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
